/**
 * The masks of WebSocket frames. A client masks each frame with four bytes that nobody can predict (RFC 6455, 10.3). So
 * somebody who can choose what a client sends can't choose the bytes that a proxy on the way sees. An encrypted stream
 * is masked too: its server has the keys, so it could predict the encrypted bytes.
 *
 * `ws` masks byte by byte. Masking by 32-bit words costs an eighth of that, and with `bufferutil` a thirtieth.
 */
import { randomFillSync } from "node:crypto"
import { native, nativeFrom } from "./bufferutil.ts"
import * as FrameHead from "./frameHead.ts"

/** From this many bytes on, masking by words costs less than byte by byte. */
const wordsFrom = 256

const rotated = new Uint8Array(4)
const rotatedWord = new Uint32Array(rotated.buffer)

/**
 * Masks the bytes from `from` to `to` in place, or unmasks them, which is the same. `phase` is the position of the
 * first of them in the payload, modulo 4.
 */
export const applyMask = (bytes: Uint8Array, from: number, to: number, key: Uint8Array, phase = 0): void => {
  if (native !== undefined && to - from >= nativeFrom) {
    for (let i = 0; i < 4; i++) rotated[i] = key[(phase + i) & 3] ?? 0
    native.unmask(bytes.subarray(from, to), rotated)
    return
  }
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

/** Random bytes for the masks of all connections. One call of the system's source is enough for 2,048 masks. */
const random = { bytes: Buffer.alloc(8 * 1024), at: 8 * 1024 }

const nextKey = (): Uint8Array => {
  if (random.at === random.bytes.length) {
    randomFillSync(random.bytes)
    random.at = 0
  }
  random.at += 4
  return random.bytes.subarray(random.at - 4, random.at)
}

/** The room for a head, in bytes: the longest one, rounded up to whole words. */
export const headRoom = 16

/**
 * A binary message in one frame, masked with a new random key. `room` begins with `headRoom` bytes for the head. The
 * payload lies behind them, and is masked in place.
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

/** The same without a mask, as a server sends it. */
export const framedInPlace = (room: Buffer, length: number): Uint8Array => {
  const frame = room.subarray(headRoom - FrameHead.sizeFor(length, false), headRoom + length)
  FrameHead.write(frame, FrameHead.opcodes.binary, length, false)
  return frame
}

/** A masked message from a copy of the payload. */
export const maskedFrame = (payload: Uint8Array): Uint8Array => {
  const room = Buffer.allocUnsafe(headRoom + payload.length)
  room.set(payload, headRoom)
  return maskedInPlace(room, payload.length)
}
