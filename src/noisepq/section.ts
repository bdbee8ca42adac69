/** The section `noisepq[:KEY[:TOKEN]]`. */
import * as Schema from "effect/Schema"
import { type Definition, definition } from "../address/definition.ts"
import { tokenDefinition, tokenFields } from "../address/keyed.ts"
import type { Secret } from "../address/secret.ts"
import type { PublicKey } from "../crypto/publicKey.ts"
import { blank } from "../schema/makeUnchecked.ts"

/**
 * `noisepq:KEY[:TOKEN]`. A listener's section needs no key: the key is filled in when its address is advertised. A dial
 * shows the token to the listener together with the dialer's own key. Anybody who has the token can use it.
 *
 * @category models
 * @since 0.1.0
 */
export class NoisePq extends Schema.TaggedClass<NoisePq>("effect-multiserver/NoisePq")("noisepq", tokenFields) {
  static readonly [definition]: Definition<NoisePq> = tokenDefinition(
    "noisepq",
    (publicKey?: PublicKey, token?: Secret) => {
      const section = blank(NoisePq)
      section._tag = "noisepq"
      if (publicKey !== undefined) section.publicKey = publicKey
      if (token !== undefined) section.token = token
      return section
    }
  )
}
