/** Messages that wait to be taken, in little more memory than their bytes, however they are cut. */
import { isArrayNonEmpty } from "effect/Array"
import type { Chunks } from "../Port.ts"

/** Shorter ones are copied together: as an object each would cost more than its bytes. */
const shortBytes = 512
const joinBytes = 8 * 1024

export class Inbox {
  /** How many bytes wait. */
  bytes = 0
  private chunks: Array<Uint8Array> = []
  /** What the last chunk is the beginning of, when short messages are in it. */
  private room = new Uint8Array(0)
  private used = 0

  push(message: Uint8Array): void {
    if (message.length === 0) return
    this.bytes += message.length
    if (message.length < shortBytes) {
      this.join(message)
    } else {
      this.used = 0
      // A message that is the smaller part of what was read with it would hold on to all of that.
      this.chunks.push(message.length * 2 < message.buffer.byteLength ? new Uint8Array(message) : message)
    }
  }

  private join(message: Uint8Array): void {
    const length = this.used + message.length
    if (this.used === 0 || length > joinBytes) {
      this.room = new Uint8Array(message)
      this.used = message.length
      this.chunks.push(this.room)
      return
    }
    if (length > this.room.length) {
      const larger = new Uint8Array(Math.min(joinBytes, 4 * length))
      larger.set(this.room.subarray(0, this.used))
      this.room = larger
    }
    this.room.set(message, this.used)
    this.used = length
    this.chunks[this.chunks.length - 1] = this.room.subarray(0, length)
  }

  take(): Chunks | undefined {
    const { chunks } = this
    if (!isArrayNonEmpty(chunks)) return undefined
    this.chunks = []
    this.bytes = 0
    this.used = 0
    return chunks
  }
}
