/** Secrets of 32 bytes in a section: read from text, printed only on demand, never encoded by a schema. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as SchemaTransformation from "effect/SchemaTransformation"
import { decodeExactly } from "../crypto/base64.ts"

export type Secret = Redacted.Redacted<Uint8Array>

/** What to print for a secret in an address: the secret itself, or something in its place. */
export type SecretText = (secret: Secret) => string

/** Why an address with a secret is not encoded. */
export const secretsStay = new SchemaIssue.Forbidden({
  message: "an address with a seed or token is a secret and is not encoded"
})

/** One kind of secret. */
export interface SecretKind {
  readonly expected: string
  /** From base64; `undefined` when the text is not such a secret. */
  readonly parse: (text: string) => Secret | undefined
  /** Whether it is a secret of this kind. */
  readonly is: (u: unknown) => u is Secret
  /** Decodes the secret from text. Encoding fails, also in schemas that contain this one and codecs made of it. */
  readonly schema: Schema.Codec<Secret, string>
}

/** A kind of secret: its name, what is expected of its text, and which bytes can be one. */
export const secretKind = (label: string, expected: string, accepts: (bytes: Uint8Array) => boolean): SecretKind => {
  const parse = (text: string): Secret | undefined => {
    const bytes = decodeExactly(text, 32)
    return bytes === undefined || !accepts(bytes) ? undefined : Redacted.make(bytes, { label })
  }
  const isSecret = (u: unknown): u is Secret => {
    const bytes: unknown = Redacted.isRedacted(u) ? Redacted.value(u) : undefined
    return bytes instanceof Uint8Array && bytes.length === 32 && accepts(bytes)
  }
  const fromString = SchemaTransformation.transformEffect({
    decode: (text: string) =>
      Effect.fromNullishOr(parse(text)).pipe(
        Effect.mapError(() => new SchemaIssue.InvalidValue({ message: `expected ${expected}` }))
      ),
    encode: (_secret: Secret) => Effect.fail(secretsStay)
  })
  const schema = Schema.String.pipe(
    Schema.decodeTo(
      Schema.declare(isSecret, {
        expected: `a redacted ${label} of 32 bytes`,
        toCodecJson: () => Schema.link<Secret>()(Schema.String, fromString)
      }),
      fromString
    )
  )
  return { expected, is: isSecret, parse, schema }
}
