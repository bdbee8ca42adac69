/** Base64 of a fixed number of bytes, as peers write it: strict about what is encoded, lenient about the alphabet. */
import * as Base64 from "effect/encoding/Base64"
import * as Result from "effect/Result"

/**
 * The bytes, or `undefined` when the text isn't canonical base64 of exactly `length` bytes. The standard and the URL-safe
 * alphabet are read, with or without padding.
 */
export const decodeExactly = (text: string, length: number): Uint8Array | undefined => {
  const digits = Math.ceil((length * 4) / 3)
  const padded = Math.ceil(length / 3) * 4
  if (text.length !== digits && text.length !== padded) return undefined
  const standard = text.slice(0, digits).replaceAll("-", "+").replaceAll("_", "/") + "=".repeat(padded - digits)
  if (text.length === padded && text.slice(digits) !== standard.slice(digits)) return undefined
  const decoded = Base64.decode(standard)
  if (Result.isFailure(decoded) || decoded.success.length !== length) return undefined
  // Bits that the last digit has to spare must be zero, or two texts would name one key.
  return Base64.encode(decoded.success) === standard ? decoded.success : undefined
}
