/** Bytes that wait for credit, in order, as the buffers that are posted. */
import { appended } from "../appended.ts"

type Owned = Uint8Array<ArrayBuffer>

/** Shorter pieces are posted together, up to this many bytes. */
const joinBytes = 16 * 1024

/** Whether the view is all of its memory. `SharedArrayBuffer`s and resizable buffers can't be posted as they are. */
const isWhole = (bytes: Uint8Array): bytes is Owned =>
  bytes.buffer instanceof ArrayBuffer &&
  bytes.byteLength === bytes.buffer.byteLength &&
  !("resizable" in bytes.buffer && bytes.buffer.resizable === true)

export class SendQueue {
  /** How many bytes wait. */
  bytes = 0
  private readonly maxBytes: number
  private readonly maxJoined: number
  /** The last one may have memory behind it, for what follows. */
  private buffers: Array<Owned> = []

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
    this.maxJoined = Math.min(joinBytes, maxBytes)
  }

  /** Adds a copy. */
  add(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += this.maxBytes) {
      const piece = bytes.subarray(from, from + this.maxBytes)
      // Not `slice`: on a Node `Buffer` it makes no copy.
      if (!this.join(piece)) this.buffers.push(new Uint8Array(piece))
    }
    this.bytes += bytes.length
  }

  /** Adds the bytes themselves. Answers whether they are a buffer that can be posted. */
  give(bytes: Uint8Array): boolean {
    if (!isWhole(bytes) || bytes.length > this.maxBytes) return false
    if (bytes.length > 0 && !this.join(bytes)) this.buffers.push(bytes)
    this.bytes += bytes.length
    return true
  }

  /** Adds a copy to the last buffer, if both are short. However short pieces are, few buffers wait. */
  private join(piece: Uint8Array): boolean {
    const last = this.buffers.at(-1)
    if (last === undefined || last.length + piece.length > this.maxJoined) return false
    this.buffers[this.buffers.length - 1] = appended(last, piece, this.maxJoined)
    return true
  }

  /** Takes out the next buffer, if `allows` its length. */
  take(allows: (bytes: number) => boolean): ArrayBuffer | undefined {
    const [next] = this.buffers
    if (next === undefined || !allows(next.length)) return undefined
    this.buffers.shift()
    this.bytes -= next.length
    return next.length === next.buffer.byteLength ? next.buffer : next.slice().buffer
  }

  clear(): void {
    this.buffers = []
    this.bytes = 0
  }
}
