/** Base64 of a fixed number of bytes, as peers write it: strict about what is encoded, lenient about the alphabet. */

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** The value of each ASCII character as a digit, of the standard and of the URL-safe alphabet; 64 for one that is none. */
const values = new Uint8Array(128).fill(64)
for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i
values["-".charCodeAt(0)] = 62
values["_".charCodeAt(0)] = 63

/**
 * The bytes, or `undefined` when the text isn't canonical base64 of exactly `length` bytes. The standard and the URL-safe
 * alphabet are read, with or without padding.
 */
export const decodeExactly = (text: string, length: number): Uint8Array | undefined => {
  const count = Math.ceil((length * 4) / 3)
  const padding = (4 - (count % 4)) % 4
  if (text.length !== count && (text.length !== count + padding || !text.endsWith("=".repeat(padding)))) {
    return undefined
  }
  const bytes = new Uint8Array(length)
  let bits = 0
  let held = 0
  let at = 0
  for (let i = 0; i < count; i++) {
    const value = values[text.charCodeAt(i)]
    if (value === undefined || value === 64) return undefined
    bits = (bits << 6) | value
    held += 6
    if (held < 8) continue
    held -= 8
    bytes[at++] = bits >> held
    bits &= (1 << held) - 1
  }
  // Bits that the last digit has to spare must be zero, or two texts would name one key.
  return bits === 0 ? bytes : undefined
}
