/** Finds frames in a byte stream, however it is cut, and opens them where they lie. */
import type { Frames, Opener, Verdict } from "../Codec.ts"

export class FrameOpener implements Opener {
  private readonly frames: Frames
  /** Length of the body that is due; `undefined` while a head is. */
  private due: number | undefined
  /** The part of a head or body that has arrived, when it straddles two inputs: none is held while idle. */
  private carry: Uint8Array | undefined
  private carried = 0
  private result: "more" | Verdict = "more"

  constructor(frames: Frames) {
    this.frames = frames
  }

  open(input: Uint8Array, out: Array<Uint8Array>): "more" | Verdict {
    let from = this.finishCarried(input, out)
    // Bodies are opened to one place, one after another, so that a read gives one piece of plaintext.
    const start = from
    let to = from
    while (this.result === "more") {
      const length = this.due ?? this.frames.head
      if (input.length - from < length) break
      const unit = input.subarray(from, from + length)
      from += length
      if (this.due === undefined) this.openHead(unit)
      else to += this.openBody(unit, input.subarray(to, to + length))
    }
    if (to > start) out.push(input.subarray(start, to))
    if (this.result === "more" && from < input.length) this.keep(input.subarray(from))
    return this.result
  }

  /** Completes what an earlier input began. Answers how much of the input that took. */
  private finishCarried(input: Uint8Array, out: Array<Uint8Array>): number {
    const { carry } = this
    if (carry === undefined || this.result !== "more") return 0
    const taken = Math.min(carry.length - this.carried, input.length)
    carry.set(input.subarray(0, taken), this.carried)
    this.carried += taken
    if (this.carried < carry.length) return taken
    this.carry = undefined
    if (this.due === undefined) {
      this.openHead(carry)
    } else {
      const length = this.openBody(carry, carry)
      if (length > 0) out.push(carry.subarray(0, length))
    }
    return taken
  }

  private keep(part: Uint8Array): void {
    this.carry = new Uint8Array(this.due ?? this.frames.head)
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
