/** The section `shs[:KEY[:SEED]]`. */
import * as Schema from "effect/Schema"
import { BadSeed } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { keyedDefinition } from "../address/keyed.ts"
import { type Secret, secretKind } from "../address/secret.ts"
import { PublicKey } from "../crypto/publicKey.ts"
import { blank } from "../schema/makeUnchecked.ts"

const Seed = secretKind("seed", "base64 of a 32-byte seed", () => true)

/**
 * `shs:KEY[:SEED]`. A listener's section needs no key: the key is filled in when its address is advertised. The seed is
 * a private key: a dial with it authenticates with the key pair of that seed.
 *
 * @category models
 * @since 0.1.0
 */
export class Shs extends Schema.TaggedClass<Shs>("effect-multiserver/Shs")(
  "shs",
  Schema.Struct({ publicKey: Schema.optionalKey(PublicKey), seed: Schema.optionalKey(Seed.schema) }).check(
    Schema.makeFilter(({ publicKey, seed }) => publicKey !== undefined || seed === undefined || "a seed needs a key")
  )
) {
  static readonly [definition]: Definition<Shs> = keyedDefinition(
    "shs",
    Seed,
    BadSeed,
    ({ seed }) => seed,
    (publicKey?: PublicKey, seed?: Secret) => {
      const section = blank(Shs)
      section._tag = "shs"
      if (publicKey !== undefined) section.publicKey = publicKey
      if (seed !== undefined) section.seed = seed
      return section
    }
  )
}
