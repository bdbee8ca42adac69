/** The section `memory:NAME`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Syntax } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { PlainText, parsePlainText } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/**
 * `memory:NAME`, a listener in the same process.
 *
 * @category models
 * @since 0.1.0
 */
export class Memory extends Schema.TaggedClass<Memory>("effect-multiserver/Memory")("memory", {
  name: PlainText
}) {
  static readonly [definition]: Definition<Memory> = {
    name: "memory",
    role: "transport",
    parse: (text, start, end) =>
      Result.map(parsePlainText(text, start, end, Syntax, "a name"), (name) =>
        makeUnchecked(Memory, { _tag: "memory", name })
      ),
    print: ({ name }) => `memory:${name}`
  }
}
