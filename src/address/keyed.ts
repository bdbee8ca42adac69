/** `NAME[:KEY[:SECRET]]`, the form of a section that names a peer by its public key. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadKey, BadToken } from "../AddressError.ts"
import { formatPublicKey, PublicKey, parsePublicKeyWithin } from "../crypto/publicKey.ts"
import type { Definition } from "./definition.ts"
import { fault, type ReasonClass } from "./fault.ts"
import { type Secret, type SecretKind, secretKind } from "./secret.ts"
import { indexOrEnd } from "./text.ts"

export const keyExpected = "base64 of a 32-byte public key"

interface Keyed {
  readonly publicKey?: PublicKey
}

/** The definition of such a section, whose secret `secretOf` gives. `make` makes a section of its parts. */
export const keyedDefinition = <A extends Keyed>(
  name: string,
  kind: SecretKind,
  BadSecret: ReasonClass,
  secretOf: (section: A) => Secret | undefined,
  make: (publicKey?: PublicKey, secret?: Secret) => A
): Definition<A> => ({
  name,
  role: "transform",
  parse: (text, start, end) => {
    if (start > end) return Result.succeed(make())
    const colon = indexOrEnd(text, ":", start, end)
    const publicKey = parsePublicKeyWithin(text, start, colon)
    if (publicKey === undefined) return fault(BadKey, start, keyExpected)
    if (colon === end) return Result.succeed(make(publicKey))
    const secret = kind.parse(text.slice(colon + 1, end))
    return secret === undefined ? fault(BadSecret, colon + 1, kind.expected) : Result.succeed(make(publicKey, secret))
  },
  print: (section, secretText) => {
    const { publicKey } = section
    if (publicKey === undefined) return name
    const secret = secretOf(section)
    return `${name}:${formatPublicKey(publicKey)}${secret === undefined ? "" : `:${secretText(secret)}`}`
  },
  secret: {
    find: secretOf,
    remove: ({ publicKey }) => make(publicKey),
    put: ({ publicKey }, secret) => {
      if (publicKey === undefined) return undefined
      return kind.is(secret) ? Result.succeed(make(publicKey, secret)) : fault(BadSecret, 0, kind.expected)
    }
  }
})

// -----------------------------------------------------------------------------
// tokens
// -----------------------------------------------------------------------------

const Token = secretKind("token", "base64 of a 32-byte token that is not all zeros", (bytes) =>
  bytes.some((byte) => byte !== 0)
)

/** The fields of a section whose secret is a token. */
export const tokenFields = Schema.Struct({
  publicKey: Schema.optionalKey(PublicKey),
  token: Schema.optionalKey(Token.schema)
}).check(
  Schema.makeFilter(({ publicKey, token }) => publicKey !== undefined || token === undefined || "a token needs a key")
)

/** The definition of a section whose secret is a token. */
export const tokenDefinition = <A extends typeof tokenFields.Type>(
  name: string,
  make: (publicKey?: PublicKey, token?: Secret) => A
): Definition<A> => keyedDefinition(name, Token, BadToken, ({ token }) => token, make)
