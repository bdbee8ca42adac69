/**
 * The identity of a process: an Ed25519 key pair whose secret half is `Redacted`, and the file that keeps it.
 *
 * The file format is the `secret` file of Secure Scuttlebutt (npm `ssb-keys`): `#` comments around one JSON object with
 * `curve`, `public`, `private` and `id`.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { decodeExactly, encodeBase64 } from "./crypto/base64.ts"
import { Primitives } from "./crypto/Primitives.ts"
import { formatPublicKey, type PublicKey, parsePublicKey, uncheckedPublicKey } from "./crypto/publicKey.ts"
import { fileSystem } from "./fileSystem.ts"
import { Exposed, FileFailure, fileFailure, Linked, NotOwned, readPrivate } from "./privateFile.ts"

export { formatPublicKey, PublicKey, PublicKeyFromString, parsePublicKey } from "./crypto/publicKey.ts"
export { Exposed, FileFailure, Linked, NotOwned } from "./privateFile.ts"

/**
 * The secret half of a key pair: 64 bytes, the seed and then the public key.
 *
 * @category models
 * @since 0.1.0
 */
export type SecretKey = Redacted.Redacted<Uint8Array>

/**
 * An Ed25519 key pair.
 *
 * @category models
 * @since 0.1.0
 */
export interface KeyPair {
  readonly publicKey: PublicKey
  readonly secretKey: SecretKey
}

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The text is not a secret key, or not a secret file, in a form that this package reads.
 *
 * @category errors
 * @since 0.1.0
 */
export class Malformed extends Schema.TaggedError<Malformed>()("Malformed", { expected: Schema.String }) {
  override get message(): string {
    return `not a secret key: expected ${this.expected}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * An identity could not be read or saved. The error never contains any part of a secret.
 *
 * @category errors
 * @since 0.1.0
 */
export class IdentityError extends Schema.TaggedError<IdentityError>("effect-multiserver/IdentityError")(
  "IdentityError",
  {
    /** The path of the file, the name of the variable, or `configuration`. */
    source: Schema.String,
    reason: Schema.Union([Exposed, NotOwned, Linked, Malformed, FileFailure])
  }
) {
  override get message(): string {
    return `identity ${this.source}: ${this.reason.message}`
  }
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

// -----------------------------------------------------------------------------
// key pairs
// -----------------------------------------------------------------------------

/** Prints its public key, and its secret key only as `<redacted>`. */
class Pair implements KeyPair {
  readonly publicKey: PublicKey
  readonly secretKey: SecretKey

  constructor(secretKey: Uint8Array) {
    this.publicKey = uncheckedPublicKey(secretKey.slice(32))
    this.secretKey = Redacted.make(secretKey, { label: "secret key" })
  }
  toString(): string {
    return `KeyPair(${formatPublicKey(this.publicKey)}, ${this.secretKey})`
  }
  toJSON(): unknown {
    return { _id: "KeyPair", publicKey: formatPublicKey(this.publicKey) }
  }
  [NodeInspectSymbol](): string {
    return this.toString()
  }
}

const fromSecretKey = (secretKey: Uint8Array): KeyPair => new Pair(secretKey)

/** Reads the text of a secret key: base64 of 64 bytes, with or without SSB's trailing `.ed25519`. */
const parseSecretKey = (text: string): Uint8Array | undefined => decodeExactly(text.replace(/\.ed25519$/, ""), 64)

const isKeyOf = (publicKey: Uint8Array, pair: KeyPair): boolean =>
  publicKey.every((byte, i) => byte === pair.publicKey[i])

/**
 * The key pair of a 32-byte seed.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromSeed = (primitives: Primitives["Service"], seed: Redacted.Redacted<Uint8Array>): KeyPair => {
  const pair = primitives.ed25519KeyPair(Redacted.value(seed))
  return fromSecretKey(pair.secretKey)
}

/**
 * A new random key pair. It is not saved.
 *
 * @category constructors
 * @since 0.1.0
 */
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

const fileExpected = "a JSON object with curve ed25519, public and private, and # comments"

/**
 * Reads the text of a secret file. It also reads what old versions of `ssb-keys` wrote, which is the private key alone.
 * `source` names the text in the error.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parseSecretFile = (source: string, text: string): Effect.Effect<KeyPair, IdentityError> => {
  const malformed = (expected: string) => new IdentityError({ source, reason: new Malformed({ expected }) })
  const pairOf = (privateKey: string, otherwise: string): Effect.Effect<KeyPair, IdentityError> => {
    const secretKey = parseSecretKey(privateKey)
    return secretKey === undefined ? Effect.fail(malformed(otherwise)) : Effect.succeed(fromSecretKey(secretKey))
  }
  const content = text.replace(/#.*/g, "").trim()
  if (!content.startsWith("{")) return pairOf(content, fileExpected)
  return Effect.gen(function* () {
    const file = yield* Effect.mapError(decodeSecretFile(content), () => malformed(fileExpected))
    const publicKey = parsePublicKey(file.public)
    if (publicKey === undefined) return yield* malformed("public to be base64 of 32 bytes")
    const pair = yield* pairOf(file.private, "private to be base64 of 64 bytes")
    // The pair takes its public key from `private`. If `public` is another key, one of them is not this identity's.
    return isKeyOf(publicKey, pair) ? pair : yield* malformed("private to belong to public")
  })
}

/**
 * The identity of a secret: base64 of a 32-byte seed, or `private` of a secret file (64 bytes). `source` names it in
 * the error.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parseSecret = (
  source: string,
  secret: Redacted.Redacted<string>
): Effect.Effect<KeyPair, IdentityError, Primitives> =>
  Effect.gen(function* () {
    const primitives = yield* Primitives
    const malformed = (expected: string) => new IdentityError({ source, reason: new Malformed({ expected }) })
    const text = Redacted.value(secret)
    const secretKey = parseSecretKey(text)
    const seed = secretKey?.subarray(0, 32) ?? decodeExactly(text, 32)
    if (seed === undefined) return yield* malformed("base64 of a 32-byte seed or of a 64-byte secret key")
    const pair = fromSeed(primitives, Redacted.make(seed))
    if (secretKey === undefined || isKeyOf(secretKey.subarray(32), pair)) return pair
    return yield* malformed("the two halves of the secret key to belong together")
  })

/**
 * The text of a secret file. It contains the secret key; no other function of this module shows it.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatSecretFile = (pair: KeyPair): string => {
  const publicKey = `${formatPublicKey(pair.publicKey)}.ed25519`
  const keys = {
    curve: "ed25519",
    public: publicKey,
    private: `${encodeBase64(Redacted.value(pair.secretKey))}.ed25519`,
    id: `@${publicKey}`
  }
  return `# This file is a secret key. Whoever has it can act as you: show it to nobody, and do not edit it.
# Used on two devices at once it forks your identity.
#
${JSON.stringify(keys, null, 2)}
#
# The public half, free to share:
#   ${keys.id}
`
}

/**
 * Reads the secret file at `path`. Fails when the file belongs to another user (except root), when group or others have
 * any permission on it, or when the path is a symbolic link. `NodeServices.layer` of `@effect/platform-node` gives the
 * `FileSystem`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const load = (path: string): Effect.Effect<KeyPair, IdentityError, FileSystem.FileSystem> =>
  readPrivate(path).pipe(
    Effect.mapError((reason) => new IdentityError({ source: path, reason })),
    Effect.flatMap((text) => parseSecretFile(path, text))
  )

/**
 * Writes the pair to a new file, mode 0600. Fails when the file exists. The file appears complete or not at all: it is
 * written under another name and then linked to `path`, because a link, unlike a rename, never replaces a file.
 *
 * @category combinators
 * @since 0.1.0
 */
export const save = (path: string, pair: KeyPair): Effect.Effect<void, IdentityError, FileSystem.FileSystem> =>
  Effect.gen(function* () {
    const fs = yield* fileSystem
    const draft = `${path}.${(yield* Random.nextInt).toString(36)}`
    const file = yield* fs.open(draft, { flag: "wx", mode: 0o600 })
    yield* file
      .writeAll(new TextEncoder().encode(formatSecretFile(pair)))
      .pipe(
        Effect.andThen(file.sync),
        Effect.andThen(fs.link(draft, path)),
        Effect.ensuring(Effect.ignore(fs.remove(draft)))
      )
  }).pipe(
    Effect.scoped,
    Effect.uninterruptible,
    Effect.mapError((error) => new IdentityError({ source: path, reason: fileFailure(error) }))
  )

// -----------------------------------------------------------------------------
// service
// -----------------------------------------------------------------------------

/**
 * The key pair with which this process proves to its peers who it is. `layerFile` and other layers of this module give
 * it, and those of `NodeIdentity`, which need no `Primitives`.
 *
 * @category services
 * @since 0.1.0
 */
export class Identity extends Context.Service<Identity, KeyPair>()(
  "effect-multiserver/Identity (Identity.layerFile and other layers of Identity give it)"
) {}

/**
 * The identity in the secret file at `path`, read as by `load`. `NodeServices.layer` of `@effect/platform-node` gives
 * the `FileSystem`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFile = (path: string): Layer.Layer<Identity, IdentityError, FileSystem.FileSystem> =>
  Layer.effect(Identity, load(path))

const isFileFailure =
  (kind: string) =>
  ({ reason }: IdentityError): boolean =>
    reason._tag === "FileFailure" && reason.kind === kind

/**
 * The identity in the secret file at `path`. If there is no such file, makes a new identity and saves it there.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerFileOrCreate = (
  path: string
): Layer.Layer<Identity, IdentityError, FileSystem.FileSystem | Primitives> =>
  Layer.effect(
    Identity,
    load(path).pipe(
      Effect.catchIf(isFileFailure("NotFound"), () => Effect.tap(generate, (pair) => save(path, pair))),
      // Another process has created the file in the meantime.
      Effect.catchIf(isFileFailure("AlreadyExists"), () => load(path))
    )
  )

/**
 * A new random identity, which is lost when the layer is released.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerEphemeral: Layer.Layer<Identity, never, Primitives> = Layer.effect(Identity, generate)
