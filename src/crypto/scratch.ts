/**
 * Scratch memory: byte arrays that live no longer than a handshake, which needs dozens of them. They are cut from one
 * shared buffer, because to allocate a buffer for each costs more than most of what is computed into it. Copy what you
 * keep: a part of the shared buffer keeps all of it alive.
 */

/** Enough for one side of about ten handshakes. */
const sharedBytes = 16 * 1024

let shared = new Uint8Array(sharedBytes)
let used = 0

/** Zeros that were never handed out before. */
export const scratch = (length: number): Uint8Array => {
  if (used + length > shared.length) {
    shared = new Uint8Array(Math.max(sharedBytes, length))
    used = 0
  }
  used += length
  return shared.subarray(used - length, used)
}

/** No bytes. */
export const empty = new Uint8Array(0)

/** The parts, one after another, in scratch memory. */
export const concat = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const out = scratch(length)
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}
