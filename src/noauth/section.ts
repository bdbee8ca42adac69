/** The section `noauth`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadKey } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault } from "../address/fault.ts"
import { keyExpected } from "../address/keyed.ts"
import { parsePublicKey } from "../crypto/publicKey.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/**
 * `noauth`: no encryption and no authentication. A key in it is checked and ignored.
 *
 * @category models
 * @since 0.1.0
 */
export class Noauth extends Schema.TaggedClass<Noauth>("effect-multiserver/Noauth")("noauth", {}) {
  static readonly [definition]: Definition<Noauth> = {
    name: "noauth",
    role: "transform",
    parse: (text, start, end) =>
      start > end || parsePublicKey(text.slice(start, end)) !== undefined
        ? Result.succeed(makeUnchecked(Noauth, { _tag: "noauth" }))
        : fault(BadKey, start, keyExpected),
    print: () => "noauth"
  }
}
