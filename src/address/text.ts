/** The characters that can stand in an address, and sections that are plain text. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { fault, type Parsed, type ReasonClass } from "./fault.ts"

/** White space, control and format characters (bidirectional ones among them), lone surrogates. */
const forbidden = /[\p{C}\p{Z}]/u

/** The index of the first character that can't be in an address, or -1. */
export const findForbidden = (text: string): number => (/^[\x21-\x7e]*$/.test(text) ? -1 : text.search(forbidden))

/** Whether the text can stand in a section: `;` would end the address, and there is no escape for it. */
export const isWritable = (text: string): boolean => !text.includes(";") && findForbidden(text) < 0

/** The schema of the texts for which `accepts` is true. `expected` describes them in its error. */
export const textThat = (expected: string, accepts: (text: string) => boolean) =>
  Schema.String.check(Schema.makeFilter((text: string) => accepts(text) || `expected ${expected}`))

/** A text that can be all of a section's data. */
export const PlainText = textThat(
  "at least one character, no ; and no white space",
  (text) => text !== "" && isWritable(text)
)

/** Takes everything from `start` on, which must not be empty. */
export const parsePlainText = (text: string, start: number, Reason: ReasonClass, expected: string): Parsed<string> =>
  start < text.length ? Result.succeed(text.slice(start)) : fault(Reason, text.length, expected)
