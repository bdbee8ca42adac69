/** Base64 of a fixed number of bytes, as peers write it: strict about what is encoded, lenient about the alphabet. */

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** The value of a character that is not a digit: a bit above the six of a digit. */
const none = 64

/** The value of each character below 256 as a digit of the standard or the URL-safe alphabet. */
const values = new Uint8Array(256).fill(none)
for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i
values["-".charCodeAt(0)] = 62
values["_".charCodeAt(0)] = 63

/**
 * The bytes, or `undefined` when the text isn't canonical base64 of exactly `length` bytes. The standard and the
 * URL-safe alphabet are read, with or without padding.
 */
export const decodeExactly = (text: string, length: number): Uint8Array | undefined => {
  const count = Math.ceil((length * 4) / 3)
  const padding = (4 - (count % 4)) % 4
  if (text.length !== count && (text.length !== count + padding || !text.endsWith("=".repeat(padding)))) {
    return undefined
  }
  const bytes = new Uint8Array(length)
  let at = 0
  let bits = 0
  let seen = 0
  for (let i = 0; i < count; i++) {
    const value = values[text.charCodeAt(i)] ?? none
    seen |= value
    bits = (bits << 6) | value
    // Of each four digits, the second, third and fourth complete a byte, and have 4, 2 and 0 bits left over.
    if ((i & 3) !== 0) bytes[at++] = bits >> (2 * (3 - (i & 3)))
  }
  // The bits that the last digit has left over must be zero, or two texts would stand for the same bytes.
  const spare = (1 << (count * 6 - length * 8)) - 1
  return seen < none && (bits & spare) === 0 ? bytes : undefined
}
