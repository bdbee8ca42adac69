/** Where plaintext goes: where its ciphertext lies, or to room of its own. */
import type { Room } from "../Codec.ts"
import { giveStage, takeStage } from "./stage.ts"

/**
 * Garbage, an eighth of an array slot for each byte. Buffers lie outside of the heap: so few small objects come with them that the cheap
 * collections of the young, which would free them, never come, and V8 collects everything again and again for the sake of their size
 * (docs/performance.md).
 */
const litter: { last: ReadonlyArray<unknown> } = { last: [] }

/** What is read in one go by who reads in bulk. */
export const bulkBytes = 32 * 1024
let heapIsKept = false

/**
 * glibc gives the top of its heap back to the system as soon as 128 KiB are free there, and takes it again page by page: a fifth of what
 * it costs to receive. It keeps twice as much as the largest block with a mapping of its own that was ever freed: this one is never
 * touched, so that it takes addresses and no memory.
 */
const keepHeap = (): void => {
  heapIsKept = true
  litter.last = [Buffer.allocUnsafeSlow(16 * 1024 * 1024)]
}

/** Has to go with each buffer that the reader keeps. */
export const litterFor = (bytes: number): void => {
  if (bytes >= bulkBytes && !heapIsKept) keepHeap()
  litter.last = new Array(bytes >> 3)
}

/** Memory for the reader to keep. */
const keepable = (bytes: number): Uint8Array => {
  litterFor(bytes)
  return Buffer.allocUnsafeSlow(bytes)
}

/** A copy for the reader to keep. */
export const copy = (bytes: Uint8Array): Uint8Array => {
  const own = keepable(bytes.length)
  own.set(bytes)
  return own
}

/** Memory that is used again when the call in which it is lent is over. */
const lendable = (bytes: number): Uint8Array => {
  const stage = takeStage(bytes)
  queueMicrotask(() => {
    stage.fill(0, 0, bytes)
    giveStage(stage)
  })
  return stage
}

/** The input is the reader's. */
export const owned: Room = { inPlace: true, take: keepable }
/** The input is lent, and the plaintext the reader's. */
export const fresh: Room = { inPlace: false, take: keepable }
/** The input is lent, and so is the plaintext. */
export const lent: Room = { inPlace: true, take: lendable }
