/**
 * Who a process is: an Ed25519 key pair whose secret half is `Redacted`, and the file that keeps it.
 *
 * The file format is the `secret` file of Secure Scuttlebutt (npm `ssb-keys`): `#` comments around one JSON object with
 * `curve`, `public`, `private` and `id`.
 */
import * as Config from "effect/Config"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import type * as PlatformError from "effect/PlatformError"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { Primitives } from "./crypto/Primitives.ts"
import { decodeExactly } from "./internal/base64.ts"

const exactBytes = (length: number) =>
  Schema.Uint8Array.check(
    Schema.makeFilter((bytes: Uint8Array) => bytes.length === length || `expected ${length} bytes`)
  )

/** An Ed25519 public key: 32 bytes. */
export const PublicKey = exactBytes(32).pipe(Schema.brand("PublicKey"))
export type PublicKey = typeof PublicKey.Type

/** The secret half of a pair: 64 bytes, seed then public key. */
export type SecretKey = Redacted.Redacted<Uint8Array>

/** An Ed25519 key pair. */
export interface KeyPair {
  readonly publicKey: PublicKey
  readonly secretKey: SecretKey
}

// -----------------------------------------------------------------------------
// public keys as text
// -----------------------------------------------------------------------------

/** The key as padded standard base64, 44 characters. */
export const formatPublicKey = (key: PublicKey): string => Base64.encode(key)

/**
 * Reads a public key: canonical base64 of 32 bytes, padded or not, standard or URL-safe, with or without SSB's leading
 * `@` and trailing `.ed25519`. `undefined` when it is none.
 */
export const parsePublicKey = (text: string): PublicKey | undefined => {
  const start = text.startsWith("@") ? 1 : 0
  const end = text.endsWith(".ed25519") ? text.length - ".ed25519".length : text.length
  const bytes = decodeExactly(text.slice(start, end), 32)
  return bytes === undefined ? undefined : PublicKey.make(bytes, { disableChecks: true })
}

/** `PublicKey` from and to text. */
export const PublicKeyFromString: Schema.Codec<PublicKey, string> = Schema.String.pipe(
  Schema.decodeTo(
    PublicKey,
    SchemaTransformation.transformEffect({
      decode: (text: string) => {
        const key = parsePublicKey(text)
        return key === undefined
          ? Effect.fail(new SchemaIssue.InvalidValue({ message: "expected base64 of a 32-byte public key" }, text))
          : Effect.succeed(key)
      },
      encode: (key: Uint8Array) => Effect.succeed(Base64.encode(key))
    })
  )
)

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/** The key file is readable by others, so the key has to be counted as known to them. */
export class Exposed extends Schema.TaggedError<Exposed>()("Exposed", { mode: Schema.String }) {
  override get message() {
    return `its mode is ${this.mode}, group or others can read it: run chmod 600 on it, or make a new key if they have`
  }
}

/** The text is not a secret file of SSB's form. */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", { expected: Schema.String }) {
  override get message() {
    return `not a secret file: expected ${this.expected}`
  }
}

/** The system refused to read or write the file. */
export class FileFailure extends Schema.TaggedError<FileFailure>()("FileFailure", {
  kind: Schema.String,
  detail: Schema.String
}) {
  override get message() {
    return this.kind === "AlreadyExists" ? "it exists already, and a key is never overwritten" : this.detail
  }
}

/** An identity could not be read or kept. Never holds any part of a secret. */
export class IdentityError extends Schema.TaggedError<IdentityError>("effect-multiserver/IdentityError")(
  "IdentityError",
  { source: Schema.String, reason: Schema.Union([Exposed, Malformed, FileFailure]) }
) {
  override get message() {
    return `identity ${this.source}: ${this.reason.message}`
  }
}

// -----------------------------------------------------------------------------
// key pairs
// -----------------------------------------------------------------------------

const redact = (bytes: Uint8Array): SecretKey => Redacted.make(bytes, { label: "secret key" })

/** The pair of a 32-byte seed. */
export const fromSeed = (primitives: Primitives["Service"], seed: Redacted.Redacted<Uint8Array>): KeyPair => {
  const pair = primitives.ed25519KeyPair(Redacted.value(seed))
  return { publicKey: PublicKey.make(pair.publicKey), secretKey: redact(pair.secretKey) }
}

/** A new random pair. */
export const generate: Effect.Effect<KeyPair, never, Primitives> = Primitives.useSync((primitives) => {
  const seed = primitives.random(32)
  const pair = fromSeed(primitives, Redacted.make(seed))
  primitives.wipe(seed)
  return pair
})

// -----------------------------------------------------------------------------
// the secret file
// -----------------------------------------------------------------------------

const SecretFile = Schema.fromJsonString(
  Schema.Struct({
    curve: Schema.Literal("ed25519"),
    public: Schema.String,
    private: Schema.String
  })
)
const decodeSecretFile = Schema.decodeUnknownEffect(SecretFile)

/** Reads the text of a secret file. `source` names it in the error. */
export const parseSecretFile = (source: string, text: string): Effect.Effect<KeyPair, IdentityError> => {
  const malformed = (expected: string) => new IdentityError({ source, reason: new Malformed({ expected }) })
  const json = text
    .split("\n")
    .filter((line) => !line.trimStart().startsWith("#"))
    .join("\n")
  return decodeSecretFile(json).pipe(
    Effect.mapError(() => malformed("a JSON object with curve ed25519, public and private, and # comments")),
    Effect.flatMap((file) => {
      const publicKey = parsePublicKey(file.public)
      if (publicKey === undefined) return Effect.fail(malformed("public to be base64 of 32 bytes"))
      const secretKey = decodeExactly(file.private.replace(/\.ed25519$/, ""), 64)
      if (secretKey === undefined) return Effect.fail(malformed("private to be base64 of 64 bytes"))
      // Both halves are in the file; a secret key that ends in another public key would sign for nobody.
      return secretKey.subarray(32).every((byte, i) => byte === publicKey[i])
        ? Effect.succeed({ publicKey, secretKey: redact(secretKey) })
        : Effect.fail(malformed("private to belong to public"))
    })
  )
}

/** The text of a secret file. It holds the secret key: this is the one function that shows it. */
export const formatSecretFile = (pair: KeyPair): string => {
  const publicKey = `${formatPublicKey(pair.publicKey)}.ed25519`
  const keys = {
    curve: "ed25519",
    public: publicKey,
    private: `${Base64.encode(Redacted.value(pair.secretKey))}.ed25519`,
    id: `@${publicKey}`
  }
  return `# This file is a secret key. Who has it can speak as you: show it to nobody, and do not edit it.
# Used on two devices at once it forks your identity.
#
${JSON.stringify(keys, null, 2)}
#
# The public half, free to share:
#   ${keys.id}
`
}

const fileError = (source: string) => (error: PlatformError.PlatformError) =>
  new IdentityError({
    source,
    reason: new FileFailure({ kind: error.reason._tag, detail: error.reason.message })
  })

/**
 * Reads the secret file at `path`. Refused when group or others have any right to it; what is checked and what is read
 * is one open file.
 */
export const load = Effect.fnUntraced(function* (path: string) {
  const fs = yield* FileSystem.FileSystem
  const text = yield* Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(path, { flag: "r" })
      const stat = yield* file.stat
      if ((stat.mode & 0o077) !== 0) {
        const reason = new Exposed({ mode: (stat.mode & 0o777).toString(8).padStart(4, "0") })
        return yield* new IdentityError({ source: path, reason })
      }
      const bytes = new Uint8Array(64 * 1024)
      const size = yield* file.read(bytes)
      return new TextDecoder().decode(bytes.subarray(0, size))
    })
  ).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(fileError(path)(error))))
  return yield* parseSecretFile(path, text)
})

/** Writes the pair to a new file, mode 0600. Fails when the file exists; leaves none behind when it can't be written. */
export const save = Effect.fnUntraced(function* (path: string, pair: KeyPair) {
  const fs = yield* FileSystem.FileSystem
  yield* Effect.scoped(
    Effect.gen(function* () {
      const file = yield* fs.open(path, { flag: "wx", mode: 0o600 })
      yield* file.writeAll(new TextEncoder().encode(formatSecretFile(pair))).pipe(
        Effect.andThen(file.sync),
        Effect.onError(() => Effect.ignore(fs.remove(path)))
      )
    })
  ).pipe(Effect.mapError(fileError(path)))
})

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/** The key pair that this process shows to its peers. */
export class Identity extends Context.Service<Identity, KeyPair>()("effect-multiserver/Identity") {}

/** The identity in the secret file at `path`. */
export const layerFile = (path: string): Layer.Layer<Identity, IdentityError, FileSystem.FileSystem> =>
  Layer.effect(Identity, load(path))

/** The identity in the secret file at `path`, made and kept there when there is none. */
export const layerFileOrCreate = (
  path: string
): Layer.Layer<Identity, IdentityError, FileSystem.FileSystem | Primitives> =>
  Layer.effect(
    Identity,
    load(path).pipe(
      Effect.catchIf(
        (error) => error.reason._tag === "FileFailure" && error.reason.kind === "NotFound",
        () => Effect.tap(generate, (pair) => save(path, pair))
      )
    )
  )

/**
 * The identity in a configuration value, by default `MULTISERVER_SECRET`: base64 of a 32-byte seed, or `private` of a
 * secret file (64 bytes).
 */
export const layerConfig = (
  config: Config.Config<Redacted.Redacted<string>> = Config.Redacted("MULTISERVER_SECRET")
): Layer.Layer<Identity, IdentityError | Config.ConfigError, Primitives> =>
  Layer.effect(
    Identity,
    Effect.gen(function* () {
      const primitives = yield* Primitives
      const text = Redacted.value(yield* config).replace(/\.ed25519$/, "")
      const seed = decodeExactly(text, 32) ?? decodeExactly(text, 64)?.subarray(0, 32)
      if (seed === undefined) {
        const reason = new Malformed({ expected: "base64 of a 32-byte seed or a 64-byte secret key" })
        return yield* new IdentityError({ source: "configuration", reason })
      }
      return fromSeed(primitives, Redacted.make(seed))
    })
  )

/** A new identity, gone with the layer. */
export const layerEphemeral: Layer.Layer<Identity, never, Primitives> = Layer.effect(Identity, generate)
