/** The characters that can stand in an address, and sections that are plain text. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fault, type Parsed, type ReasonClass } from "./fault.ts"

/** The visible characters of ASCII: most addresses have no others. */
const visible = /^[\x21-\x7e]*$/

/** White space, control and format characters (bidirectional ones among them), lone surrogates. */
const forbidden = /[\p{C}\p{Z}]/u

/** The index of the first character that can't be in an address, or -1. */
export const findForbidden = (text: string): number => (visible.test(text) ? -1 : text.search(forbidden))

/** Whether the text can stand in a section: `;` would end the address, and there is no escape for it. */
export const isWritable = (text: string): boolean => !text.includes(";") && findForbidden(text) < 0

/** The schema of the texts for which `accepts` is true. `expected` describes them in its error. */
export const textThat = (expected: string, accepts: (text: string) => boolean) =>
  Schema.String.check(Schema.makeFilter((text: string) => accepts(text) || `expected ${expected}`))

/** The index of the first such character from `from` on, or `end` when there is none before it. */
export const indexOrEnd = (text: string, character: string, from: number, end = text.length): number => {
  const index = text.indexOf(character, from)
  return index < 0 || index > end ? end : index
}

/** A text that can be all of a section's data. */
export const PlainText = textThat(
  "at least one character, no ; and no white space",
  (text) => text !== "" && isWritable(text)
)

/** Takes everything from `start` to `end`, which must not be empty. */
export const parsePlainText = (
  text: string,
  start: number,
  end: number,
  Reason: ReasonClass,
  expected: string
): Parsed<string> => (start < end ? Result.succeed(text.slice(start, end)) : fault(Reason, end, expected))
