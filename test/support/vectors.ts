/** The published test vectors, decoded. Their fields are described in vectors/README.md. */
import * as fs from "node:fs"
import * as Base64 from "effect/encoding/Base64"
import * as Hex from "effect/encoding/Hex"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

const Bytes = Schema.Uint8ArrayFromHex

const Keys = Schema.Struct({
  longterm_seed: Bytes,
  longterm_sk: Bytes,
  longterm_pk: Bytes,
  ephemeral_sk: Bytes,
  ephemeral_pk: Bytes
})

const Outcome = Schema.Struct({ encrypt_key: Bytes, encrypt_nonce: Bytes, decrypt_key: Bytes, decrypt_nonce: Bytes })

const Handshake = Schema.Struct({
  id: Schema.String,
  app_key: Bytes,
  client: Keys,
  server: Keys,
  address: Schema.String,
  msg1: Bytes,
  msg2: Bytes,
  msg3: Bytes,
  msg4: Bytes,
  outcome: Schema.Struct({ client: Outcome, server: Outcome })
})

const Script = Schema.Struct({
  id: Schema.String,
  comment: Schema.String,
  role: Schema.Literals(["client", "server"]),
  tags: Schema.Array(Schema.String),
  app_key: Bytes,
  local: Keys,
  server_longterm_pk: Schema.optionalKey(Bytes),
  authorize: Schema.optionalKey(Schema.NullOr(Schema.String)),
  incoming: Schema.Array(Bytes),
  // biome-ignore lint/suspicious/noThenProperty: the vectors' own name
  then: Schema.Literals(["eof", "open"]),
  expect: Schema.Struct({
    result: Schema.Literals(["accept", "reject"]),
    sent: Bytes,
    fails_at: Schema.optionalKey(Schema.NullOr(Schema.String)),
    authorize_called_with: Schema.optionalKey(Schema.NullOr(Bytes)),
    outcome: Schema.optionalKey(Schema.NullOr(Outcome))
  })
})

const Write = Schema.Union([
  Schema.Struct({ utf8: Schema.String }),
  Schema.Struct({ hex: Bytes }),
  Schema.Struct({ len: Schema.Int, a: Schema.Int, b: Schema.Int })
])

const BoxStream = Schema.Struct({
  id: Schema.String,
  key: Bytes,
  nonce: Bytes,
  writes: Schema.Array(Write),
  wire: Schema.optionalKey(Bytes),
  wire_base64: Schema.optionalKey(Schema.Uint8ArrayFromBase64)
})

const BoxFailure = Schema.Struct({
  id: Schema.String,
  comment: Schema.String,
  key: Bytes,
  nonce: Bytes,
  incoming: Schema.optionalKey(Schema.Array(Bytes)),
  incoming_base64: Schema.optionalKey(Schema.Array(Schema.Uint8ArrayFromBase64)),
  expect: Schema.Struct({
    result: Schema.Literals(["error", "clean-end", "policy"]),
    plaintext_before: Schema.optionalKey(Bytes),
    plaintext_before_len: Schema.Int,
    plaintext_before_sha256: Schema.String
  })
})

const load = <A, I>(name: string, schema: Schema.Codec<A, I>): ReadonlyArray<A> => {
  const text = fs.readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8")
  const file = Schema.Struct({ vectors: Schema.Array(schema) })
  return Schema.decodeUnknownSync(Schema.fromJsonString(file))(text).vectors
}

export const handshakes = load("shs1-handshake", Handshake)
export const scripts = load("shs1-scripts", Script)
export const boxStreams = load("boxstream", BoxStream)
export const boxFailures = load("boxstream-failures", BoxFailure)

/** The bytes of a vector's write; a pattern's byte i is `(a*i + b) mod 251`. */
export const writeBytes = (write: typeof Write.Type): Uint8Array => {
  if ("utf8" in write) return new TextEncoder().encode(write.utf8)
  if ("hex" in write) return write.hex
  return Uint8Array.from({ length: write.len }, (_, i) => (write.a * i + write.b) % 251)
}

export const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(chunks))
export const hex = (bytes: Uint8Array): string => Hex.encode(bytes)
export const unhex = (text: string): Uint8Array => Result.getOrThrow(Hex.decode(text))
export const base64 = (bytes: Uint8Array): string => Base64.encode(bytes)
