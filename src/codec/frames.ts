/**
 * Finds frames in a byte stream, however it is cut into chunks, and opens them in place or into memory that their
 * reader keeps.
 */
import type { Room } from "../Port.ts"
import { plain } from "./rooms.ts"
import { giveStage, stageBytes, takeStage } from "./stage.ts"

/**
 * `end`: the authenticated end. What follows it is ignored. The other verdicts fail the connection.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "end" | "tampered" | "violation"

/**
 * Opens whole frames, which `opener` finds in what arrives.
 *
 * @category models
 * @since 0.1.0
 */
export interface Frames {
  /** Length of a head, in bytes. */
  readonly head: number
  /**
   * Opens a head. Answers the length of what follows it, body and tail together, which may be 0; or a verdict. May
   * overwrite `sealed`.
   */
  readonly openHead: (sealed: Uint8Array) => number | Verdict
  /**
   * Opens a body with its tail into `plain`, which is as long as `sealed`. Both may be the same memory, or `plain` may
   * begin before `sealed` and overlap it: so verify `sealed` before you write into `plain`, and write from the front.
   * Answers the length of the plaintext, or `undefined` when the body was tampered with.
   */
  readonly openBody: (sealed: Uint8Array, plain: Uint8Array) => number | undefined
  /**
   * Optional. Opens a large body into memory that it allocates itself, where that is faster than `openBody`.
   * `undefined` when the body was tampered with.
   */
  readonly openApart?: (sealed: Uint8Array) => Uint8Array | undefined
}

/**
 * Opens what arrives, however it is cut into chunks.
 *
 * @category models
 * @since 0.1.0
 */
export interface Opener {
  /**
   * Opens all whole frames. By default in place: `input` belongs to the opener, and later to the reader. Plaintext is
   * appended to `out`, in as few pieces as possible. The start of an unfinished frame is copied, and kept until the
   * next call.
   */
  readonly open: (input: Uint8Array, out: Array<Uint8Array>, room?: Room) => "more" | Verdict
}

/** Bodies from this length on are opened by `openApart`, where there is one. */
const apartBytes = 32 * 1024

export class FrameOpener implements Opener {
  private readonly frames: Frames
  /** Length of the body that is due; `undefined` while a head is. */
  private due: number | undefined
  /** The part of a head or body that has arrived, while it straddles two inputs. An idle opener holds none. */
  private carry: Uint8Array | undefined
  private carried = 0
  private result: "more" | Verdict = "more"

  constructor(frames: Frames) {
    this.frames = frames
  }

  open(input: Uint8Array, out: Array<Uint8Array>, room: Room = plain.owned): "more" | Verdict {
    let from = this.carryOn(input)
    // Bodies are opened next to each other, so that an input gives as few pieces of plaintext as possible.
    let place: Uint8Array | undefined
    let start = 0
    let to = 0
    if (this.carry !== undefined && this.carried === this.length && this.result === "more") {
      const { carry, length } = this
      this.carry = undefined
      const unit = carry.subarray(0, length)
      if (this.due === undefined) {
        this.openHead(unit)
      } else if (this.isApart(room)) {
        this.openApart(unit, out, room)
      } else {
        place = room.take(room.inPlace ? length : this.guess(length, input.length - from))
        to = this.openBody(unit, place.subarray(0, length))
      }
      giveStage(carry)
    }
    while (this.result === "more") {
      const { length } = this
      const left = input.length - from
      if (left < length) break
      const unit = input.subarray(from, from + length)
      if (this.due === undefined) {
        this.openHead(unit)
      } else if (this.isApart(room)) {
        if (place !== undefined && to > start) out.push(place.subarray(start, to))
        place = undefined
        this.openApart(unit, out, room)
      } else {
        if (place === undefined || place.length - to < length || (room.inPlace && place !== input)) {
          if (place !== undefined && to > start) out.push(place.subarray(start, to))
          place = room.inPlace ? input : room.take(this.guess(length, left))
          start = room.inPlace ? from : 0
          to = start
        }
        to += this.openBody(unit, place.subarray(to, to + length))
      }
      from += length
    }
    if (place !== undefined && to > start) out.push(place.subarray(start, to))
    if (this.result === "more" && from < input.length) this.keep(input.subarray(from))
    return this.result
  }

  /** Length of the head or body that is due. */
  private get length(): number {
    return this.due ?? this.frames.head
  }

  /**
   * How much plaintext is in `bytes` bytes that begin with a body, if all bodies have this length: a guess that is
   * right for bulk. At most a stage, because larger buffers are expensive in V8.
   */
  private guess(length: number, bytes: number): number {
    return (
      length * Math.max(1, Math.floor((Math.min(bytes, stageBytes) + this.frames.head) / (length + this.frames.head)))
    )
  }

  /** Whether the body that is due goes through `openApart`. */
  private isApart(room: Room): boolean {
    return !room.inPlace && this.frames.openApart !== undefined && this.length >= apartBytes
  }

  private openApart(sealed: Uint8Array, out: Array<Uint8Array>, room: Room): void {
    this.due = undefined
    room.made?.(sealed.length)
    const opened = this.frames.openApart?.(sealed)
    if (opened === undefined) this.result = "tampered"
    else out.push(opened)
  }

  /** Adds to the head or body that an earlier input began. Answers how many bytes of this input that took. */
  private carryOn(input: Uint8Array): number {
    const { carry } = this
    if (carry === undefined || this.result !== "more") return 0
    const taken = Math.min(this.length - this.carried, input.length)
    carry.set(taken === input.length ? input : input.subarray(0, taken), this.carried)
    this.carried += taken
    return taken
  }

  private keep(part: Uint8Array): void {
    this.carry = this.due === undefined ? new Uint8Array(this.frames.head) : takeStage(this.due)
    this.carry.set(part)
    this.carried = part.length
  }

  private openHead(sealed: Uint8Array): void {
    const answer = this.frames.openHead(sealed)
    if (typeof answer === "number") this.due = answer
    else this.result = answer
  }

  private openBody(sealed: Uint8Array, plain: Uint8Array): number {
    this.due = undefined
    const length = this.frames.openBody(sealed, plain)
    if (length === undefined) this.result = "tampered"
    return length ?? 0
  }
}
