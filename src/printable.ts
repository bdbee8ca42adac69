/**
 * Makes text from outside safe to show on a terminal or in a log. It escapes the characters of escape sequences, which
 * a terminal would obey, and characters that change the order or the lines of a text. Error messages use this, and so
 * does everything that the command prints.
 */

/**
 * Control characters (escape sequences begin with one), format characters (such as bidirectional ones), lone
 * surrogates, private and unassigned characters; line and paragraph separators.
 */
const unsafe = /[\p{C}\p{Zl}\p{Zp}]/gu

const escaped = (character: string): string => `\\u{${character.codePointAt(0)?.toString(16)}}`

/** The text on one line, however long. Unsafe characters are escaped: `\u{1b}`. */
export const oneLine = (text: string): string => (/^[\x20-\x7e]*$/.test(text) ? text : text.replace(unsafe, escaped))

/** Text of somebody else: on one line, and cut after `most` UTF-16 code units. */
export const printable = (text: string, most = 1000): string =>
  oneLine(text.length > most ? `${text.slice(0, most).replace(/[\ud800-\udbff]$/, "")}…` : text)

/** Any value as text, also one whose own `toString` throws. */
export const textOf = (value: unknown): string => {
  try {
    return String(value)
  } catch {
    return "a value that can't be printed"
  }
}

/** A text that has lines of its own, such as a stack trace: its line feeds stay. */
export const manyLines = (text: string): string =>
  text.replace(unsafe, (character) => (character === "\n" ? character : escaped(character)))

const unit = (character: string): string => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`

/** A value as JSON on one line. Unsafe characters are escaped as JSON does, so it parses to the same value. */
export const printableJson = (value: unknown): string =>
  JSON.stringify(value).replace(unsafe, (character) => character.split("").map(unit).join(""))
