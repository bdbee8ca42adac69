/** Ed25519 public keys, as bytes and as text. `Identity` exports them. */
import * as Brand from "effect/Brand"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { decodeExactly, encodeBase64 } from "./base64.ts"

/** The bytes of a key that stands within a text, from `start` to `end`. */
const bytesWithin = (text: string, start: number, end: number): Uint8Array | undefined =>
  decodeExactly(text, 32, start, end) ??
  decodeExactly(
    text
      .slice(start, end)
      .replace(/^@/, "")
      .replace(/\.ed25519$/, ""),
    32
  )

const fromString = SchemaTransformation.transformEffect({
  decode: (text: string) =>
    Effect.mapError(
      Effect.fromNullishOr(bytesWithin(text, 0, text.length)),
      () => new SchemaIssue.InvalidValue({ message: "expected base64 of a 32-byte public key" })
    ),
  encode: (key: Uint8Array) => Effect.succeed(encodeBase64(key))
})

/**
 * An Ed25519 public key: 32 bytes. In JSON it is text, as `PublicKeyFromString` writes it.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PublicKey = Schema.declare((u: unknown): u is Uint8Array => u instanceof Uint8Array, {
  expected: "Uint8Array",
  toCodecJson: () => Schema.link<Uint8Array>()(Schema.String, fromString)
})
  .check(Schema.makeFilter((bytes) => bytes.length === 32 || "expected 32 bytes"))
  .pipe(Schema.brand("PublicKey"))
export type PublicKey = typeof PublicKey.Type

/** Brands bytes whose length is known to be 32, without the schema's check. */
export const uncheckedPublicKey = Brand.nominal<PublicKey>()

/**
 * The key as padded standard base64, 44 characters.
 *
 * @category conversions
 * @since 0.1.0
 */
export const formatPublicKey = (key: PublicKey): string => encodeBase64(key)

/**
 * Reads a public key: canonical base64 of 32 bytes, padded or not, standard or URL-safe, with or without SSB's leading
 * `@` and trailing `.ed25519`. `undefined` when the text is not a public key.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parsePublicKey = (text: string): PublicKey | undefined => parsePublicKeyWithin(text, 0, text.length)

/** The same for a key that stands within a text, from `start` to `end`. */
export const parsePublicKeyWithin = (text: string, start: number, end: number): PublicKey | undefined => {
  const bytes = bytesWithin(text, start, end)
  return bytes === undefined ? undefined : uncheckedPublicKey(bytes)
}

/**
 * `PublicKey` from and to text: read as by `parsePublicKey`, written as by `formatPublicKey`.
 *
 * @category schemas
 * @since 0.1.0
 */
export const PublicKeyFromString: Schema.Codec<PublicKey, string> = Schema.String.pipe(
  Schema.decodeTo(PublicKey, fromString)
)
