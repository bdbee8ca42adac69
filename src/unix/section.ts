/** The section `unix:PATH`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadPath } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault, type Parsed } from "../address/fault.ts"
import { textThat } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/** Control and format characters, lone surrogates: no path that a person has made has them. */
const notInPath = /[\p{C}]/u

/** What can't stand in an address, or would be read as something else: it is written as `%20`. */
const encoded = /[\p{Z};]|%(?=[0-9A-Fa-f]{2})/gu

const expected = "a path, with white space, ; and control characters as %xx, in UTF-8"

/** The path from `start` on. A `%` that two hex digits don't follow stands for itself, as 3.8.2 has each. */
const parse = (text: string, start: number): Parsed<string> => {
  if (start >= text.length) return fault(BadPath, text.length, expected)
  const written = text.slice(start)
  const path = Result.try(() => written.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent))
  return Result.isSuccess(path) && !notInPath.test(path.success)
    ? Result.succeed(path.success)
    : fault(BadPath, start + Math.max(0, written.indexOf("%")), expected)
}

const print = (path: string): string => path.replace(encoded, (character) => encodeURIComponent(character))

/** `unix:PATH`: everything after the first `:`. White space, `;` and what reads as an escape are written as `%xx`. */
export class Unix extends Schema.TaggedClass<Unix>("effect-multiserver/Unix")("unix", {
  path: textThat("a character at least, and no control character", (path) => path !== "" && !notInPath.test(path))
}) {
  static readonly [definition]: Definition<Unix> = {
    name: "unix",
    role: "transport",
    parse: (text, start) => Result.map(parse(text, start), (path) => makeUnchecked(Unix, { _tag: "unix", path })),
    print: ({ path }) => `unix:${print(path)}`
  }
}
