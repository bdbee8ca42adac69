/**
 * What may come of compressed bytes, so that a few of them can't make a reader work for hours, and how a writer keeps
 * to it.
 */

/** A batch may always come to this much. */
const freeBytes = 16 * 1024 * 1024
/** All batches of one direction may always come to this much. */
const freeBytesAltogether = 64 * 1024 * 1024
/** Above that, to this many times what they were. */
const maxRatio = 100

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** What one reader lets through. */
export class Cap {
  private readonly mark: Buffer
  private readonly countsAll: boolean
  private input = 0
  private output = 0
  private allInput = 0
  private allOutput = 0
  private marked = false
  /** The end of the last input, in which a mark may have begun. */
  private tail: Uint8Array = new Uint8Array(0)

  /**
   * `mark` is what each batch ends with. Found elsewhere it makes two batches of one, which does no harm. `countsAll`:
   * batches are counted together too.
   */
  constructor(mark: Uint8Array, countsAll: boolean) {
    this.mark = asBuffer(mark)
    this.countsAll = countsAll
  }

  /** More compressed bytes. Of what came before them, all output was counted. */
  enter(bytes: Uint8Array): void {
    if (this.marked) {
      this.input = 0
      this.output = 0
    }
    this.input += bytes.length
    this.allInput += bytes.length
    const overlap = this.mark.length - 1
    const seam = Buffer.concat([this.tail, bytes.subarray(0, overlap)])
    this.marked = seam.includes(this.mark) || asBuffer(bytes).includes(this.mark)
    this.tail = Buffer.concat([this.tail, bytes.subarray(-overlap)]).subarray(-overlap)
  }

  /** More of what they inflate to. Answers what exceeds the cap, if anything does. */
  leave(bytes: Uint8Array): "the bytes of a batch" | "its batches together" | undefined {
    this.output += bytes.length
    this.allOutput += bytes.length
    if (this.output > Math.max(freeBytes, maxRatio * this.input)) return "the bytes of a batch"
    const most = freeBytesAltogether + maxRatio * this.allInput
    return this.countsAll && this.allOutput > most ? "its batches together" : undefined
  }
}

/** What one writer adds, so that its reader lets everything through that compresses well. */
export class Ballast {
  private readonly padding: Uint8Array
  private plain = 0
  private sent = 0

  /** `padding` means nothing between two batches. */
  constructor(padding: Uint8Array) {
    this.padding = padding
  }

  /**
   * What goes before a batch: its reader has that many bytes when the first of the batch inflates, however it is cut.
   */
  before(plainBytes: number, sentBytes: number): Uint8Array | undefined {
    this.plain += plainBytes
    const missing = (this.plain - freeBytesAltogether) / maxRatio - this.sent
    const times = Math.max(0, Math.ceil(missing / this.padding.length))
    this.sent += sentBytes + times * this.padding.length
    return times === 0 ? undefined : Buffer.alloc(times * this.padding.length, this.padding)
  }
}
