/**
 * Base64 of keys. Peers write it in either alphabet, so decoding takes both, but only a fixed number of bytes. Effect's
 * own module would make a web page 0.2 kB larger.
 */

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** The value of a character that is not a digit: a bit above the six of a digit. */
const none = 64

/** The value of each character below 256 as a digit of the standard or the URL-safe alphabet. */
const values = new Uint8Array(256).fill(none)
for (let i = 0; i < digits.length; i++) values[digits.charCodeAt(i)] = i
values["-".charCodeAt(0)] = 62
values["_".charCodeAt(0)] = 63

const valueAt = (text: string, index: number): number => values[text.charCodeAt(index)] ?? none

/**
 * The bytes, or `undefined` when the text from `start` to `end` isn't canonical base64 of exactly `length` bytes. The
 * standard and the URL-safe alphabet are read, with or without padding.
 */
export const decodeExactly = (text: string, length: number, start = 0, end = text.length): Uint8Array | undefined => {
  const count = Math.ceil((length * 4) / 3)
  const padding = (4 - (count % 4)) % 4
  const stop = start + count
  if (end !== stop && (end !== stop + padding || !text.startsWith("=".repeat(padding), stop))) return undefined
  const bytes = new Uint8Array(length)
  let at = 0
  let bits = 0
  let seen = 0
  // Four digits are three bytes. Where the last four are not complete, zeros stand for the rest.
  for (let i = start; i < stop; i += 4) {
    const first = valueAt(text, i)
    const second = valueAt(text, i + 1)
    const third = i + 2 < stop ? valueAt(text, i + 2) : 0
    const fourth = i + 3 < stop ? valueAt(text, i + 3) : 0
    seen |= first | second | third | fourth
    bits = (first << 18) | (second << 12) | (third << 6) | fourth
    bytes[at] = bits >> 16
    bytes[at + 1] = bits >> 8
    bytes[at + 2] = bits
    at += 3
  }
  // The bits after the last byte must be zero, or two texts would stand for the same bytes.
  const spare = (1 << (8 * (at - length))) - 1
  return seen < none && (bits & spare) === 0 ? bytes : undefined
}

/** Padded base64 in the standard alphabet. */
export const encodeBase64 = (bytes: Uint8Array): string => {
  let text = ""
  for (let at = 0; at < bytes.length; at += 3) {
    const bits = ((bytes[at] as number) << 16) | ((bytes[at + 1] ?? 0) << 8) | (bytes[at + 2] ?? 0)
    const left = bytes.length - at
    text += digits.charAt(bits >> 18) + digits.charAt((bits >> 12) & 63)
    text += (left > 1 ? digits.charAt((bits >> 6) & 63) : "=") + (left > 2 ? digits.charAt(bits & 63) : "=")
  }
  return text
}
