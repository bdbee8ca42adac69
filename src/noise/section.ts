/** The section `noise[:KEY[:TOKEN]]`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadToken } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault } from "../address/fault.ts"
import { parseKeyed, printKeyed } from "../address/keyed.ts"
import { type Secret, secretKind } from "../address/secret.ts"
import { PublicKey } from "../crypto/publicKey.ts"
import { blank } from "../schema/makeUnchecked.ts"

const Token = secretKind("token", "base64 of a 32-byte token that is not all zeros", (bytes) =>
  bytes.some((byte) => byte !== 0)
)

/**
 * `noise:KEY[:TOKEN]`. A listener's section needs no key: the key is filled in when its address is advertised. A dial
 * shows the token to the listener together with the dialer's own key. Anybody who has the token can use it.
 *
 * @category models
 * @since 0.1.0
 */
export class Noise extends Schema.TaggedClass<Noise>("effect-multiserver/Noise")(
  "noise",
  Schema.Struct({ publicKey: Schema.optionalKey(PublicKey), token: Schema.optionalKey(Token.schema) }).check(
    Schema.makeFilter(({ publicKey, token }) => publicKey !== undefined || token === undefined || "a token needs a key")
  )
) {
  static readonly [definition]: Definition<Noise> = {
    name: "noise",
    role: "transform",
    parse: (text, start, end) => parseKeyed(text, start, end, Token, BadToken, make),
    print: ({ publicKey, token }, secretText) => printKeyed("noise", publicKey, token, secretText),
    secret: {
      find: ({ token }) => token,
      remove: ({ publicKey }) => make(publicKey),
      put: ({ publicKey }, token) => {
        if (publicKey === undefined) return undefined
        if (!Token.is(token)) return fault(BadToken, 0, Token.expected)
        return Result.succeed(make(publicKey, token))
      }
    }
  }
}

const make = (publicKey?: PublicKey, token?: Secret): Noise => {
  const section = blank(Noise)
  section._tag = "noise"
  if (publicKey !== undefined) section.publicKey = publicKey
  if (token !== undefined) section.token = token
  return section
}
