/**
 * The masks of WebSocket frames. A client masks each frame with four bytes that nobody can foresee (RFC 6455, 10.3), so
 * that whoever chooses what it sends does not choose what a proxy on the way sees. A server that shares the keys of an
 * encrypted stream can foresee its bytes too, so encryption is no reason to leave the masks out.
 *
 * `ws` masks byte by byte. By 32-bit words it costs an eighth of that.
 */
import { randomFillSync } from "node:crypto"
import * as FrameHead from "./frameHead.ts"

/** Shorter ones cost less byte by byte. */
const wordsFrom = 256

const rotated = new Uint8Array(4)
const rotatedWord = new Uint32Array(rotated.buffer)

/**
 * Masks the bytes from `from` to `to` where they lie, or takes their mask off, which is the same. The first of them is
 * byte `phase` of what the key masks.
 */
export const applyMask = (bytes: Uint8Array, from: number, to: number, key: Uint8Array, phase = 0): void => {
  const first = phase - from
  let at = from
  if (to - from >= wordsFrom) {
    for (; ((bytes.byteOffset + at) & 3) !== 0; at++) bytes[at] = (bytes[at] ?? 0) ^ (key[(first + at) & 3] ?? 0)
    for (let i = 0; i < 4; i++) rotated[i] = key[(first + at + i) & 3] ?? 0
    const mask = rotatedWord[0] ?? 0
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset + at, (to - at) >> 2)
    for (let i = 0; i < words.length; i++) words[i] = (words[i] ?? 0) ^ mask
    at += words.length * 4
  }
  for (; at < to; at++) bytes[at] = (bytes[at] ?? 0) ^ (key[(first + at) & 3] ?? 0)
}

/** Random bytes for the masks of all connections: one call of the system's source for 2,048 of them. */
const random = { bytes: Buffer.alloc(8 * 1024), at: 8 * 1024 }

const nextKey = (): Uint8Array => {
  if (random.at === random.bytes.length) {
    randomFillSync(random.bytes)
    random.at = 0
  }
  random.at += 4
  return random.bytes.subarray(random.at - 4, random.at)
}

/** What a head takes at most, up to a whole word. */
export const headRoom = 16

/**
 * A binary message in one frame, masked with a new random key. The payload lies in `room` behind `headRoom` bytes that
 * the head may take, and is masked there.
 */
export const maskedInPlace = (room: Buffer, length: number): Uint8Array => {
  const to = headRoom + length
  const frame = room.subarray(headRoom - FrameHead.sizeFor(length, true), to)
  const key = nextKey()
  FrameHead.write(frame, FrameHead.opcodes.binary, length, true)
  room.set(key, headRoom - key.length)
  applyMask(room, headRoom, to, key)
  return frame
}

/** The same of a payload that stays as it is. */
export const maskedFrame = (payload: Uint8Array): Uint8Array => {
  const room = Buffer.allocUnsafe(headRoom + payload.length)
  room.set(payload, headRoom)
  return maskedInPlace(room, payload.length)
}
