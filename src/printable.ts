/**
 * Makes text from outside safe to show on a terminal or in a log. Escape sequences, which a terminal would obey, and
 * characters that change the order or the lines of a text are escaped. Error messages use this, and so does everything
 * that the command prints.
 */

/**
 * Controls (escape sequences begin with one), format characters (bidirectional ones), line separators, half characters.
 */
const unsafe = /[\p{C}\p{Zl}\p{Zp}]/gu

const escaped = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`

/** On one line, however long; a character that is not shown as it is becomes `\u{1b}`. */
export const oneLine = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : text.replace(unsafe, escaped))

/** What somebody else has said: on one line, and cut after so many UTF-16 code units. */
export const printable = (text: string, most = 1000): string =>
  oneLine(text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text)

/** A text that has lines of its own, such as a stack trace. */
export const manyLines = (text: string): string =>
  text.replace(unsafe, (character) => (character === "\n" ? character : escaped(character)))

const unit = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A value as JSON on one line. It says the same as any: what is not shown as it is, is escaped. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(unsafe, (character) => character.split("").map(unit).join(""))
