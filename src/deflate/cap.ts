/**
 * Limits on what compressed bytes may decompress to, so that a few of them can't make a reader work for hours, and the
 * padding with which a writer stays within these limits.
 */

/** A batch may always decompress to this many bytes. */
const freeBytes = 16 * 1024 * 1024
/** All batches of one direction together may always decompress to this many bytes. */
const freeBytesAltogether = 64 * 1024 * 1024
/** Beyond that, they may decompress to this many times their own size. */
const maxRatio = 100

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

/** The limits of one reader. */
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
   * `mark` is what each batch ends with. Where it is found inside a batch, that counts as two batches, which does no
   * harm. `countsAll`: all batches together have a limit too.
   */
  constructor(mark: Uint8Array, countsAll: boolean) {
    this.mark = asBuffer(mark)
    this.countsAll = countsAll
  }

  /** Counts compressed bytes. The output of all earlier ones has to be counted already. */
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

  /** Counts decompressed bytes. Returns what exceeds its limit, if anything does. */
  leave(bytes: Uint8Array): "the bytes of a batch" | "its batches together" | undefined {
    this.output += bytes.length
    this.allOutput += bytes.length
    if (this.output > Math.max(freeBytes, maxRatio * this.input)) return "the bytes of a batch"
    const most = freeBytesAltogether + maxRatio * this.allInput
    return this.countsAll && this.allOutput > most ? "its batches together" : undefined
  }
}

/** The padding that one writer adds, so that its reader accepts data that compresses very well. */
export class Ballast {
  private readonly padding: Uint8Array
  private plain = 0
  private sent = 0

  /** `padding` means nothing between two batches. */
  constructor(padding: Uint8Array) {
    this.padding = padding
  }

  /**
   * The padding to send before a batch. The reader has it before the batch begins to decompress, however the bytes are
   * cut.
   */
  before(plainBytes: number, sentBytes: number): Uint8Array | undefined {
    this.plain += plainBytes
    const missing = (this.plain - freeBytesAltogether) / maxRatio - this.sent
    const times = Math.max(0, Math.ceil(missing / this.padding.length))
    this.sent += sentBytes + times * this.padding.length
    return times === 0 ? undefined : Buffer.alloc(times * this.padding.length, this.padding)
  }
}
