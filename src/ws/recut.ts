/**
 * Cuts the frames of a WebSocket anew, so that `ws` has nothing to keep. `ws` holds a message until its last byte has
 * come, as long as the message may be, and takes the masks off byte by byte. To a byte stream the borders of messages
 * mean nothing. So the part of a binary frame that has arrived becomes a message of its own, with its mask taken off.
 *
 * All else stays as it came, for `ws` to judge: control frames, and whatever breaks the protocol.
 */
import * as FrameHead from "./frameHead.ts"
import { applyMask } from "./mask.ts"

export interface Rules {
  /** Whether the frames are a client's, which are masked. */
  readonly fromClient: boolean
  /** The longest message that is read, in bytes. */
  readonly maxMessage: number
}

/** `ws` itself is never to be asked for more. A head with `tooLong` makes it refuse the message. */
export const maxPiece = 2 ** 30
const tooLong = 2 ** 31

const { binary, continuation, control, text } = FrameHead.opcodes

const none = Buffer.alloc(0)

/** A head whose mask is zeros, so that `ws` leaves the payload alone. */
const headOf = (opcode: number, length: number, isMasked: boolean): Buffer => {
  const head = Buffer.alloc(FrameHead.sizeFor(length, isMasked))
  FrameHead.write(head, opcode, length, isMasked)
  return head
}

export class Recut {
  /** How many frames have begun that carry nothing: control frames and empty ones. The owner sets it back. */
  idle = 0
  /** How many frames have begun in this turn. The owner sets it back. */
  begun = 0
  private readonly rules: Rules
  private readonly feed: (bytes: Buffer) => void

  /**
   * The head that has begun, where not all of it was in one chunk. Made when there is one, because most connections
   * have none.
   */
  private head: Buffer = none
  private headBytes = 0

  /** What is to come of the frame that has begun, and what becomes of it. */
  private left = 0
  private what: "cut" | "pass" | "drop" = "pass"
  /** The mask of a frame of which not all was in one chunk. */
  private key: Uint8Array = none
  private phase = 0

  /** Whether a message has begun that goes on with the next frame; its kind, and its length so far. */
  private open = false
  private opcode: number = binary
  private total = 0

  /** The chunk that is being cut, and from where on it has not been fed. */
  private chunk: Buffer = none
  private from = 0

  /** `feed` gets the new frames in order, in chunks that may be cut anywhere. */
  constructor(rules: Rules, feed: (bytes: Buffer) => void) {
    this.rules = rules
    this.feed = feed
  }

  /**
   * Feeds what is in the chunk, of which it changes bytes, until so many frames have begun in this turn. Answers how
   * much of the chunk it has used.
   */
  cut(chunk: Buffer, most: number): number {
    this.chunk = chunk
    this.from = 0
    let at = 0
    while (at < chunk.length) {
      if (this.left > 0) at = this.payload(at)
      else if (this.headBytes > 0) at = this.headInPieces(at)
      else if (this.begun >= most) break
      else {
        this.begun++
        at = this.begin(at)
      }
    }
    this.flush(at)
    this.chunk = none
    return at
  }

  /** Feeds the chunk as it is, up to there. */
  private flush(to: number): void {
    if (to > this.from) this.feed(this.chunk.subarray(this.from, to))
    this.from = to
  }

  /** What has come of a frame that began before. */
  private payload(at: number): number {
    const to = Math.min(at + this.left, this.chunk.length)
    this.left -= to - at
    if (this.what === "cut") this.piece(at, to)
    else if (this.what === "drop") this.leaveOut(at, to)
    return to
  }

  /** Feeds what comes before, and nothing of these bytes. */
  private leaveOut(from: number, to: number): void {
    this.flush(from)
    this.from = to
  }

  /** Part of a frame, as a message of its own. */
  private piece(from: number, to: number): void {
    this.flush(from)
    if (this.rules.fromClient) applyMask(this.chunk, from, to, this.key, this.phase)
    this.phase = (this.phase + to - from) & 3
    this.feed(headOf(binary, to - from, this.rules.fromClient))
    this.flush(to)
  }

  /** A frame begins. */
  private begin(at: number): number {
    const { chunk } = this
    const second = chunk[at + 1]
    if (second !== undefined) {
      if (this.isForWs(chunk, at, second)) return at + 2
      const size = FrameHead.sizeBy(second)
      if (at + size <= chunk.length) return this.data(chunk.subarray(at, at + size), at, at + size)
    }
    return this.headInPieces(at)
  }

  /** The head is not all in one chunk. */
  private headInPieces(at: number): number {
    if (this.head === none) this.head = Buffer.alloc(FrameHead.maxHead)
    const { chunk, head } = this
    let to = at
    for (; to < chunk.length; to++) {
      head[this.headBytes++] = chunk[to] ?? 0
      if (this.headBytes < 2) continue
      const second = head[1] ?? 0
      if (this.headBytes === 2 && this.isForWs(head, 0, second)) {
        this.leaveOut(at, to + 1)
        this.headBytes = 0
        this.feed(Buffer.from(head.subarray(0, 2)))
        return to + 1
      }
      const size = FrameHead.sizeBy(second)
      if (this.headBytes < size) continue
      this.leaveOut(at, to + 1)
      this.headBytes = 0
      return this.data(Buffer.from(head.subarray(0, size)), undefined, to + 1)
    }
    this.leaveOut(at, to)
    return to
  }

  /** Whether `ws` is to judge a frame by its first two bytes: it is a control frame, or breaks the protocol. */
  private isForWs(bytes: Buffer, at: number, second: number): boolean {
    const first = bytes[at] ?? 0
    const opcode = first & 0x0f
    this.what = "pass"
    if ((first & 0x70) === 0 && opcode >= control && opcode <= control + 2) {
      this.idle++
      this.left = FrameHead.sizeBy(second) - 2 + (second & 0x7f)
      return true
    }
    const masked = (second & 0x80) !== 0
    const isRight = (first & 0x70) === 0 && opcode <= binary && masked === this.rules.fromClient
    if (isRight && (opcode === continuation) === this.open) return false
    // A message that begins within another: to `ws`, which knows of none, it must go on with one.
    if (isRight) bytes[at] = first & 0xf0
    this.left = Number.POSITIVE_INFINITY
    return true
  }

  /** A data frame, whose head lies at `headAt` in the chunk, or not there at all. Its payload begins at `at`. */
  private data(head: Buffer, headAt: number | undefined, at: number): number {
    const { chunk } = this
    const { fromClient, maxMessage } = this.rules
    const first = head[0] ?? 0
    const length = FrameHead.lengthIn(head)
    if ((first & 0x0f) !== continuation) {
      this.opcode = first & 0x0f
      this.total = 0
    }
    this.open = first < 0x80
    this.total += length
    this.left = length
    this.what = "cut"
    if (length === 0) this.idle++
    if (length > 0 && this.total > maxMessage) return this.instead(headOf(binary, tooLong, fromClient), headAt, at)
    // It ends the connection, whatever it says.
    if (this.opcode === text) return this.instead(headOf(text, 0, fromClient), headAt, at)
    const to = at + length
    if (headAt !== undefined && to <= chunk.length) {
      chunk[headAt] = 0x80 | binary
      if (fromClient) {
        applyMask(chunk, at, to, head.subarray(head.length - 4))
        chunk.fill(0, at - 4, at)
      }
      this.left = 0
      return to
    }
    if (fromClient) this.key = new Uint8Array(head.subarray(head.length - 4))
    this.phase = 0
    this.leaveOut(headAt ?? at, at)
    if (length === 0) this.feed(headOf(binary, 0, fromClient))
    return at
  }

  /** Feeds another frame, and drops this one. */
  private instead(frame: Buffer, headAt: number | undefined, at: number): number {
    this.leaveOut(headAt ?? at, at)
    this.feed(frame)
    this.what = "drop"
    return at
  }
}
