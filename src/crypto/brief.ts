/**
 * Bytes for a moment, as a handshake needs them by the dozen. Each is cut from a buffer that they share: one of its own for each costs
 * more than most of what is computed into it. What is kept for longer than the handshake is copied, or it keeps the whole.
 */

/** Some ten sides of handshakes. */
const sharedBytes = 16 * 1024

let shared = new Uint8Array(sharedBytes)
let used = 0

/** Zeros that nobody has had before. */
export const brief = (length: number): Uint8Array => {
  if (used + length > shared.length) {
    shared = new Uint8Array(Math.max(sharedBytes, length))
    used = 0
  }
  used += length
  return shared.subarray(used - length, used)
}

/** These, one after another. */
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const out = brief(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
