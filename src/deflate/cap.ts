/** What a batch may inflate to, so that a few bytes can't make a reader work for hours. */

/** A batch may always come to this much. */
const freeBytes = 16 * 1024 * 1024
/** Above it, to this many times what it was. */
const maxRatio = 100

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)

export class Cap {
  private readonly mark: Buffer
  private input = 0
  private output = 0
  private marked = false
  /** The end of the last input, in which a mark may have begun. */
  private tail: Uint8Array = new Uint8Array(0)

  /** `mark` is what each batch ends with. Found elsewhere it makes two batches of one, which does no harm. */
  constructor(mark: Uint8Array) {
    this.mark = asBuffer(mark)
  }

  /** More compressed bytes. Of what came before them, all output was counted. */
  enter(bytes: Uint8Array): void {
    if (this.marked) {
      this.input = 0
      this.output = 0
    }
    this.input += bytes.length
    const overlap = this.mark.length - 1
    const seam = Buffer.concat([this.tail, bytes.subarray(0, overlap)])
    this.marked = seam.includes(this.mark) || asBuffer(bytes).includes(this.mark)
    this.tail = Buffer.concat([this.tail, bytes.subarray(-overlap)]).subarray(-overlap)
  }

  /** More of what they inflate to. Answers whether it is within the cap. */
  leave(bytes: Uint8Array): boolean {
    this.output += bytes.length
    return this.output <= Math.max(freeBytes, maxRatio * this.input)
  }
}
