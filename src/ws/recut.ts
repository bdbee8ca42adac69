/**
 * Cuts the frames of a WebSocket into new ones before `ws` gets them, so that `ws` has nothing to keep. By itself it
 * would keep a message, however long, until the last byte has arrived, and unmask it byte by byte. To a byte stream the
 * boundaries of messages mean nothing. So whatever part of a binary frame has arrived becomes a message of its own,
 * already unmasked.
 *
 * The other frames are left to `ws`: control frames, and frames that break the protocol.
 */
import * as FrameHead from "./frameHead.ts"
import { applyMask } from "./mask.ts"

export interface Rules {
  /** Whether the frames come from a client, so that they are masked. */
  readonly fromClient: boolean
  /** The longest message that is read, in bytes. */
  readonly maxMessage: number
}

/**
 * `maxPayload` of `ws` is never above this, in bytes. A head that says `tooLong` bytes makes `ws` refuse the message.
 */
export const maxPiece = 2 ** 30
const tooLong = 2 ** 31

const { binary, continuation, control, text } = FrameHead.opcodes

const none = Buffer.alloc(0)

/** The head of a frame. If it is masked, the mask is all zeros, so that `ws` leaves the payload as it is. */
const headOf = (opcode: number, length: number, isMasked: boolean): Buffer => {
  const head = Buffer.alloc(FrameHead.sizeFor(length, isMasked))
  FrameHead.write(head, opcode, length, isMasked)
  return head
}

export class Recut {
  /** How many control frames and empty frames have begun. The owner sets it back to 0. */
  idle = 0
  /** How many frames have begun in this turn. The owner sets it back to 0. */
  begun = 0
  private readonly rules: Rules
  private readonly feed: (bytes: Buffer) => void

  /** What has arrived of a head that spans chunks. Allocated when needed, because most connections have none. */
  private head: Buffer = none
  private headBytes = 0

  /** How many bytes of the current frame are still to come, and what is done with them. */
  private left = 0
  private what: "cut" | "pass" | "drop" = "pass"
  /** The mask of a frame that spans chunks, and where in the mask its next byte is. */
  private key: Uint8Array = none
  private phase = 0

  /** Whether the message goes on with the next data frame; its opcode, and its length so far. */
  private open = false
  private opcode: number = binary
  private total = 0

  /** The chunk that is being cut, and the position from which on it has not been fed. */
  private chunk: Buffer = none
  private from = 0

  /** `feed` gets the new frames in order, in chunks that may be cut anywhere. */
  constructor(rules: Rules, feed: (bytes: Buffer) => void) {
    this.rules = rules
    this.feed = feed
  }

  /**
   * Feeds the frames of a chunk, until `most` frames have begun in this turn. Changes bytes of the chunk. Returns how
   * many bytes of it were used.
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

  /** Feeds the chunk up to `to`, as it is. */
  private flush(to: number): void {
    if (to > this.from) this.feed(this.chunk.subarray(this.from, to))
    this.from = to
  }

  /** Handles payload of a frame that began in an earlier chunk or step. Returns the position at which to go on. */
  private payload(at: number): number {
    const to = Math.min(at + this.left, this.chunk.length)
    this.left -= to - at
    if (this.what === "cut") this.piece(at, to)
    else if (this.what === "drop") this.leaveOut(at, to)
    return to
  }

  /** Leaves these bytes out, and feeds what comes before them. */
  private leaveOut(from: number, to: number): void {
    this.flush(from)
    this.from = to
  }

  /** Feeds part of a frame as a message of its own. */
  private piece(from: number, to: number): void {
    this.flush(from)
    if (this.rules.fromClient) applyMask(this.chunk, from, to, this.key, this.phase)
    this.phase = (this.phase + to - from) & 3
    this.feed(headOf(binary, to - from, this.rules.fromClient))
    this.flush(to)
  }

  /** Begins a frame. Returns the position at which to go on. */
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

  /** Collects a head that spans chunks. Returns the position at which to go on. */
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

  /** Whether a frame is left to `ws`, by its first two bytes: it is a control frame, or breaks the protocol. */
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
    // A message inside another one, or a continuation of none. `ws` has got only whole messages, so it refuses a
    // continuation frame: that is what this one becomes.
    if (isRight) bytes[at] = first & 0xf0
    this.left = Number.POSITIVE_INFINITY
    return true
  }

  /**
   * Handles a data frame. Its head lies at `headAt` in the chunk; `undefined`: the head spans chunks. The payload
   * begins at `at`. Returns the position at which to go on.
   */
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
    // A text message ends the connection, whatever it says.
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

  /** Feeds another frame in place of this one, whose payload is dropped. */
  private instead(frame: Buffer, headAt: number | undefined, at: number): number {
    this.leaveOut(headAt ?? at, at)
    this.feed(frame)
    this.what = "drop"
    return at
  }
}
