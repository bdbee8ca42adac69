/** The section `unix:PATH`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadPath } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { PlainText, parsePlainText } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/** `unix:PATH`: everything after the first `:`. */
export class Unix extends Schema.TaggedClass<Unix>("effect-multiserver/Unix")("unix", {
  path: PlainText
}) {
  static readonly [definition]: Definition<Unix> = {
    name: "unix",
    role: "transport",
    parse: (text, start) =>
      Result.map(parsePlainText(text, start, BadPath, "a path"), (path) => makeUnchecked(Unix, { _tag: "unix", path })),
    print: ({ path }) => `unix:${path}`
  }
}
