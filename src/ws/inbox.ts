/** Messages that wait to be taken. They take little more memory than their bytes, however short they are. */
import { isArrayNonEmpty } from "effect/Array"
import type { Chunks } from "../Port.ts"

/** Messages shorter than this are copied together, because an object for each would take more memory than its bytes. */
const shortBytes = 512
const joinBytes = 8 * 1024

const none = new Uint8Array(0)

export class Inbox {
  /** How many bytes wait. */
  bytes = 0
  private chunks: Array<Uint8Array> = []
  /**
   * The memory of the last chunk, if that is made of short messages, and how much of it is used. 0: the next short
   * message begins a new chunk.
   */
  private room: Uint8Array = none
  private used = 0

  push(message: Uint8Array): void {
    if (message.length === 0) return
    this.bytes += message.length
    if (message.length < shortBytes) {
      this.join(message)
    } else {
      this.used = 0
      // A message keeps the memory of its whole read alive. If it is less than half of that, it is copied.
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
