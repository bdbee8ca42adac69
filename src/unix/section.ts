/** The section `unix:PATH`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadPath } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault, type Parsed } from "../address/fault.ts"
import { textThat } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

/** Control and format characters, lone surrogates: refused, because no path that a person has made has them. */
const notInPath = /[\p{C}]/u

/** What is written as `%xx`: white space and `;`, which an address can't have, and a `%` that reads as an escape. */
const encoded = /[\p{Z};]|%(?=[0-9A-Fa-f]{2})/gu

const expected = "a path without control characters, with white space and ; as %xx, in UTF-8"

/**
 * Reads the path from `start` to `end`. A `%` without two hex digits after it stands for itself; in 3.8.2 every `%`
 * does.
 */
const parse = (text: string, start: number, end: number): Parsed<string> => {
  if (start >= end) return fault(BadPath, end, expected)
  const written = text.slice(start, end)
  const path = Result.try(() => written.replace(/(?:%[0-9A-Fa-f]{2})+/g, decodeURIComponent))
  return Result.isSuccess(path) && !notInPath.test(path.success)
    ? Result.succeed(path.success)
    : fault(BadPath, start + Math.max(0, written.indexOf("%")), expected)
}

const print = (path: string): string => path.replace(encoded, (character) => encodeURIComponent(character))

/**
 * `unix:PATH`, where PATH is everything after the first `:`. White space, `;` and a `%` that reads as an escape are
 * written as `%xx`.
 *
 * @category models
 * @since 0.1.0
 */
export class Unix extends Schema.TaggedClass<Unix>("effect-multiserver/Unix")("unix", {
  path: textThat("at least one character, and no control character", (path) => path !== "" && !notInPath.test(path))
}) {
  static readonly [definition]: Definition<Unix> = {
    name: "unix",
    role: "transport",
    parse: (text, start, end) =>
      Result.map(parse(text, start, end), (path) => makeUnchecked(Unix, { _tag: "unix", path })),
    print: ({ path }) => `unix:${print(path)}`
  }
}
