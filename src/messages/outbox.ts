/** Bytes that wait for credit, in order, as the buffers that are posted. */

type Owned = Uint8Array<ArrayBuffer>

/** Shorter pieces are posted together, up to this many bytes. */
const joinBytes = 16 * 1024

/** Whether the view is all of its memory. `SharedArrayBuffer`s and resizable buffers can't be posted as they are. */
const isWhole = (bytes: Uint8Array): bytes is Owned =>
  bytes.buffer instanceof ArrayBuffer &&
  bytes.byteLength === bytes.buffer.byteLength &&
  !("resizable" in bytes.buffer && bytes.buffer.resizable === true)

export class Outbox {
  /** How many bytes wait. */
  bytes = 0
  private readonly maxBytes: number
  private pieces: Array<Owned> = []
  private first = 0

  constructor(maxBytes: number) {
    this.maxBytes = maxBytes
  }

  /** Adds a copy. */
  add(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; from += this.maxBytes) {
      // Not `slice`: on a Node `Buffer` it makes no copy.
      this.push(new Uint8Array(bytes.subarray(from, from + this.maxBytes)))
    }
  }

  /** Adds the bytes themselves. Answers whether they are a buffer that can be posted. */
  give(bytes: Uint8Array): boolean {
    if (!isWhole(bytes) || bytes.length > this.maxBytes) return false
    if (bytes.length > 0) this.push(bytes)
    return true
  }

  private push(piece: Owned): void {
    this.pieces.push(piece)
    this.bytes += piece.length
  }

  /** The length of the next buffer, and how many pieces it is made of. */
  private next(): { readonly length: number; readonly count: number } {
    let length = this.pieces[this.first]?.length ?? 0
    let count = 1
    for (let piece = this.pieces[this.first + 1]; piece !== undefined; piece = this.pieces[this.first + count]) {
      if (length + piece.length > Math.min(joinBytes, this.maxBytes)) break
      length += piece.length
      count++
    }
    return { length, count }
  }

  /** Takes out the next buffer, if `allows` its length. */
  take(allows: (bytes: number) => boolean): ArrayBuffer | undefined {
    const { first, pieces } = this
    const piece = pieces[first]
    if (piece === undefined) return undefined
    const { count, length } = this.next()
    if (!allows(length)) return undefined
    const joined = count === 1 ? piece : new Uint8Array(length)
    if (count > 1) {
      let at = 0
      for (const part of pieces.slice(first, first + count)) {
        joined.set(part, at)
        at += part.length
      }
    }
    this.first += count
    this.bytes -= length
    if (this.first === pieces.length) this.clear()
    return joined.buffer
  }

  clear(): void {
    this.pieces = []
    this.first = 0
    this.bytes = 0
  }
}
