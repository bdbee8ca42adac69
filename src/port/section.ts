/** The section `port:NAME`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { Syntax } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { PlainText, parsePlainText } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/**
 * `port:NAME`, a service of another context, such as a worker. `MessagePorts.layer` says which port leads to it.
 *
 * @category models
 * @since 0.1.0
 */
export class MessagePort extends Schema.TaggedClass<MessagePort>("effect-multiserver/MessagePort")("port", {
  name: PlainText
}) {
  static readonly [definition]: Definition<MessagePort> = {
    name: "port",
    role: "transport",
    parse: (text, start, end) =>
      Result.map(parsePlainText(text, start, end, Syntax, "a name"), (name) =>
        makeUnchecked(MessagePort, { _tag: "port", name })
      ),
    print: ({ name }) => `port:${name}`
  }
}
