/** The section `noise[:KEY[:TOKEN]]`. */
import * as Schema from "effect/Schema"
import { type Definition, definition } from "../address/definition.ts"
import { tokenDefinition, tokenFields } from "../address/keyed.ts"
import type { Secret } from "../address/secret.ts"
import type { PublicKey } from "../crypto/publicKey.ts"
import { blank } from "../schema/makeUnchecked.ts"

/**
 * `noise:KEY[:TOKEN]`. A listener's section needs no key: the key is filled in when its address is advertised. A dial
 * shows the token to the listener together with the dialer's own key. Anybody who has the token can use it.
 *
 * @category models
 * @since 0.1.0
 */
export class Noise extends Schema.TaggedClass<Noise>("effect-multiserver/Noise")("noise", tokenFields) {
  static readonly [definition]: Definition<Noise> = tokenDefinition(
    "noise",
    (publicKey?: PublicKey, token?: Secret) => {
      const section = blank(Noise)
      section._tag = "noise"
      if (publicKey !== undefined) section.publicKey = publicKey
      if (token !== undefined) section.token = token
      return section
    }
  )
}
