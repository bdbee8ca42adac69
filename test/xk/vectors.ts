/** The vectors for noise, decoded: the public ones of the framework, and ours of the profile (docs/noise.md). */
import * as fs from "node:fs"
import * as Schema from "effect/Schema"

const Bytes = Schema.Uint8ArrayFromHex

const load = <A, I>(name: string, schema: Schema.Codec<A, I>): A =>
  Schema.decodeUnknownSync(Schema.fromJsonString(schema))(
    fs.readFileSync(new URL(`../vectors/${name}.json`, import.meta.url), "utf8")
  )

const Public = Schema.Struct({
  protocol_name: Schema.String,
  init_prologue: Bytes,
  init_psks: Schema.optionalKey(Schema.Array(Bytes)),
  init_static: Schema.optionalKey(Bytes),
  init_ephemeral: Bytes,
  init_remote_static: Schema.optionalKey(Bytes),
  resp_prologue: Bytes,
  resp_psks: Schema.optionalKey(Schema.Array(Bytes)),
  resp_static: Schema.optionalKey(Bytes),
  resp_ephemeral: Bytes,
  handshake_hash: Schema.optionalKey(Bytes),
  messages: Schema.Array(Schema.Struct({ payload: Bytes, ciphertext: Bytes }))
})
export type Public = typeof Public.Type
export const publicVectors = ["noise/dev-snow-subset", "noise/psk-subset"].flatMap(
  (name) => load(name, Schema.Struct({ vectors: Schema.Array(Public) })).vectors
)

const Identity = Schema.Struct({ seed: Bytes, public_key: Bytes, x25519_secret: Bytes, x25519_public: Bytes })
const Ephemeral = Schema.Struct({ secret: Bytes, public: Bytes })

const Handshake = Schema.Struct({
  id: Schema.String,
  app_key: Bytes,
  psk: Bytes,
  sections: Schema.String,
  initiator: Identity,
  initiator_ephemeral: Ephemeral,
  responder: Identity,
  responder_ephemeral: Ephemeral,
  token: Schema.NullOr(Bytes),
  hello: Bytes,
  challenge: Bytes,
  auth: Bytes,
  handshake_hash: Bytes,
  initiator_to_responder_key: Bytes,
  responder_to_initiator_key: Bytes,
  accept: Bytes,
  /** What is written afterwards, one frame each, and all that either side sends from the first byte to its end. */
  session: Schema.Struct({
    initiator_writes: Schema.Array(Schema.String),
    responder_writes: Schema.Array(Schema.String),
    initiator_wire: Bytes,
    responder_wire: Bytes
  })
})
export type Handshake = typeof Handshake.Type

const Claim = Schema.Struct({
  id: Schema.String,
  claim: Bytes,
  auth: Bytes,
  expect: Schema.Literals(["accept", "refuse"])
})

const Stream = Schema.Struct({
  id: Schema.String,
  key: Bytes,
  nonce: Schema.String,
  writes: Schema.Array(Schema.Struct({ len: Schema.Int, a: Schema.Int, b: Schema.Int })),
  wire_len: Schema.Int,
  wire_sha256: Schema.String,
  last_key: Bytes
})

const Failure = Schema.Struct({
  id: Schema.String,
  key: Bytes,
  wire: Bytes,
  plaintext_len: Schema.Int,
  expect: Schema.Literals(["tampered", "violation", "truncated"])
})

const handshakes = {
  handshakes: Schema.Array(Handshake),
  claims: Schema.Struct({ vectors: Schema.Array(Claim) }),
  accepts: Schema.Struct({
    vectors: Schema.Array(
      Schema.Struct({ id: Schema.String, fails_at: Schema.Literals(["head", "body"]), frame: Bytes })
    )
  })
}

/** Of noisepq (docs/noisepq.md). Its frames are those of noise. */
export const hybrid = load(
  "noisepq-profile",
  Schema.Struct({ ...handshakes, kem: Schema.Struct({ seed: Bytes, coins: Bytes }) })
)

export const profile = load(
  "noise-profile",
  Schema.Struct({
    ...handshakes,
    streams: Schema.Array(Stream),
    rekey: Schema.Struct({ key: Bytes, frames: Schema.Int, wire_sha256: Schema.String, last_key: Bytes }),
    failures: Schema.Array(Failure)
  })
)
/** The handshake with this name. Those of single messages belong to `plain`. */
export const named = (all: ReadonlyArray<Handshake>, id: string): Handshake =>
  all.find((each) => each.id === id) as Handshake
