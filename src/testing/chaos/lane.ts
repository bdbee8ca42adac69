/** One direction of a connection with somebody in the middle. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type { Chunks } from "../../Port.ts"
import type { Done } from "./harm.ts"

/** What is done to one direction of one connection. */
interface Course {
  readonly delayMillis: number
  readonly split: number | undefined
  /** What is done to it, if it is this direction's turn. */
  readonly harm: Done | undefined
}

/** Where the pieces of a direction go. */
interface Way {
  /** Waits until there is room. */
  readonly room: Effect.Effect<void>
  readonly deliver: (piece: Uint8Array) => void
  readonly end: () => void
  readonly harmed: (done: Done) => void
  readonly reset: () => void
}

/** The bytes of one direction that are on their way, and what happens to them there. */
export class Lane {
  bytes = 0
  /** Everything was delivered, and so was the end. */
  done = false
  private readonly course: Course
  private pieces: Array<Uint8Array> = []
  private passed = 0
  private ending = false
  private readonly work = Latch.makeUnsafe(false)

  constructor(course: Course) {
    this.course = course
  }

  /** All of them before the first can pass: whoever hears of that one may come back here. */
  put(chunks: Chunks): void {
    if (this.done || this.ending) return
    for (const chunk of chunks) {
      this.pieces.push(chunk)
      this.bytes += chunk.length
    }
    this.work.openUnsafe()
  }

  end(): void {
    this.ending = true
    this.work.openUnsafe()
  }

  /** An end is on its way. */
  get isEnding(): boolean {
    return this.ending && !this.done
  }

  private drop(): void {
    this.pieces = []
    this.bytes = 0
    this.done = true
  }

  /** The next piece; a harm but a flip stops it. */
  private next(length: number): Uint8Array | undefined {
    const first = this.pieces[0] as Uint8Array
    const { harm } = this.course
    const safe =
      harm === undefined || harm.what === "flip" || harm.at < this.passed ? first.length : harm.at - this.passed
    if (safe === 0) return undefined
    const piece = first.slice(0, Math.min(length, safe))
    if (piece.length === first.length) this.pieces.shift()
    else this.pieces[0] = first.subarray(piece.length)
    return piece
  }

  private flip(piece: Uint8Array, harmed: Way["harmed"]): void {
    const { harm } = this.course
    const at = harm === undefined || harm.what !== "flip" ? -1 : harm.at - this.passed
    const byte = piece[at]
    if (harm === undefined || byte === undefined) return
    piece[at] = byte ^ (1 << (harm.at & 7))
    harmed(harm)
  }

  /** Passes what is put, piece by piece, each in its time. */
  run({ deliver, end, harmed, reset, room }: Way): Effect.Effect<void> {
    const { delayMillis, harm, split } = this.course
    return Effect.gen({ self: this }, function* () {
      while (!this.done) {
        yield* this.work.await
        if (delayMillis > 0) yield* Effect.sleep(yield* Random.nextIntBetween(0, delayMillis))
        const length = split === undefined ? Number.POSITIVE_INFINITY : yield* Random.nextIntBetween(1, split)
        yield* room
        if (this.done) return
        if (this.pieces.length === 0) {
          if (!this.ending) {
            this.work.closeUnsafe()
            continue
          }
          this.done = true
          return end()
        }
        const piece = this.next(length)
        if (piece === undefined) {
          this.drop()
          if (harm !== undefined) harmed(harm)
          return harm?.what === "reset" ? reset() : end()
        }
        this.flip(piece, harmed)
        this.passed += piece.length
        this.bytes -= piece.length
        deliver(piece)
      }
    })
  }
}
