/** One direction of a disturbed connection. */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Random from "effect/Random"
import type { Chunks } from "../../Port.ts"
import type { Done } from "./harm.ts"

/** What is done to one direction of one connection. */
interface Course {
  readonly delayMillis: number
  readonly split: number | undefined
  /** The harm, if this is the direction that it is done to. */
  readonly harm: Done | undefined
}

/** What a lane calls when its pieces pass. */
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
  /** Nothing more passes: the end was delivered, or a cut or reset was done. */
  done = false
  private readonly course: Course
  private pieces: Array<Uint8Array> = []
  private passed = 0
  private ending = false
  private readonly work = Latch.makeUnsafe(false)

  constructor(course: Course) {
    this.course = course
  }

  /** Adds all chunks before the first can pass, because its delivery may call `put` again. */
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

  /** The next piece, of at most `length` bytes. `undefined`: a cut or reset is due here. */
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

  /** Passes what is put, piece by piece, each after its delay. */
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
