/** A port over effects: two fibers, one that reads ahead within a bound and one that writes what was offered. */
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import { type ConnectionError, Defect, locallyClosed, type PortFailure, Reset } from "../ConnectionError.ts"
import { effectOf } from "../effectOf.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"

/**
 * The parts of a connection that carry bytes. A failure's `remote` is replaced by the address of the connection that is
 * made of them. What `writeAll` still holds when the connection closes has the `close` time of `Limits`; then it is
 * lost.
 *
 * @category models
 * @since 0.1.0
 */
export interface Effects {
  /**
   * Gives the bytes that have arrived, or waits for some; `Cause.Done` at the clean end. The chunks are the reader's to
   * keep and change, so give copies of memory that something else may still read. One pull runs at a time.
   */
  readonly pull: Pull.Pull<Chunks, ConnectionError>
  /**
   * Writes the chunks, which are its own to keep and change. One write runs at a time. While it runs, at most 128 KiB
   * more are taken from the writer above.
   */
  readonly writeAll: (chunks: Chunks) => Effect.Effect<void, ConnectionError>
  /** Ends this side's direction. It runs once, after all writes. */
  readonly end: Effect.Effect<void, ConnectionError>
  /** Whether each side can go on writing after the other has ended. */
  readonly halfClose: boolean
  /** Ends at once what the effects hold, apart from the link below them, which is destroyed anyway. */
  readonly destroy?: () => void
}

/** In bytes. Reading pauses when this many wait to be taken, and the port is full when this many wait to be written. */
const highWater = 128 * 1024

/** Waits for the end of the tick, so that all that is offered in one tick is written as one batch. */
const tick = Effect.callback<void>((resume) => queueMicrotask(() => resume(Effect.void)))

/** The failure of a port whose effects failed, died or were interrupted. */
const failureOf = (cause: Cause.Cause<ConnectionError>): PortFailure => {
  const error = Cause.findError(cause)
  if (Result.isSuccess(error)) return error.success.reason
  const defect = Cause.findDefect(cause)
  return Result.isSuccess(defect) ? new Defect({ cause: defect.success }) : new Reset({ code: "INTERRUPTED" })
}

const bytesOf = (chunks: ReadonlyArray<Uint8Array>): number => chunks.reduce((sum, chunk) => sum + chunk.length, 0)

export class EffectsPort implements Port {
  readonly halfClose
  readonly copies = true
  readonly below?: Port
  readonly reading: Effect.Effect<void>
  readonly writing: Effect.Effect<void>
  failure: PortFailure | undefined
  private readonly effects: Effects
  private listener: PortListener | undefined
  private incoming: Array<Uint8Array> = []
  private incomingBytes = 0
  private inputEnded = false
  private readonly roomToRead = Latch.makeUnsafe(false)
  private outgoing: Array<Uint8Array> = []
  private outgoingBytes = 0
  private readonly workToWrite = Latch.makeUnsafe(false)
  private ending: "no" | "asked" | "done" = "no"
  private stopped = Latch.makeUnsafe(false)

  /** `below` is the port that the effects work on, if there is one. */
  constructor(effects: Effects, below?: Port) {
    this.effects = effects
    this.halfClose = effects.halfClose
    if (below !== undefined) this.below = below
    const untilStopped = <A>(effect: Effect.Effect<A, ConnectionError>) =>
      effect.pipe(
        // The listener must hear of the end, even of an interruption: a queue that is shut down interrupts the fibers
        // that take from it.
        Effect.catchCause((cause) => this.failed(failureOf(cause))),
        Effect.raceFirst(this.stopped.await),
        Effect.asVoid
      )
    this.reading = this.roomToRead.whenOpen(effectOf("pull", effects.pull)).pipe(
      Effect.map((chunks) => this.received(chunks)),
      Effect.forever({ disableYield: true }),
      Pull.catchDone(() =>
        Effect.sync(() => {
          this.inputEnded = true
          this.listener?.readable()
        })
      ),
      untilStopped
    )
    this.writing = this.workToWrite
      .whenOpen(
        Effect.andThen(
          tick,
          Effect.suspend(() => this.writeOnce())
        )
      )
      .pipe(Effect.forever({ disableYield: true }), untilStopped)
  }

  private received(chunks: Chunks): void {
    for (const chunk of chunks) this.incoming.push(chunk)
    this.incomingBytes += bytesOf(chunks)
    if (this.incomingBytes >= highWater) this.roomToRead.closeUnsafe()
    this.listener?.readable()
  }

  private writeOnce(): Effect.Effect<void, ConnectionError> {
    this.workToWrite.closeUnsafe()
    const batch = this.outgoing
    this.outgoing = []
    if (isReadonlyArrayNonEmpty(batch)) {
      return Effect.map(effectOf("writeAll", this.effects.writeAll(batch)), () => {
        this.outgoingBytes -= bytesOf(batch)
        this.wrote()
      })
    }
    if (this.ending !== "asked") return Effect.void
    return Effect.map(effectOf("end", this.effects.end), () => {
      this.ending = "done"
      this.wrote()
    })
  }

  private wrote(): void {
    if (this.outgoing.length > 0 || this.ending === "asked") this.workToWrite.openUnsafe()
    this.listener?.drained()
  }

  private failed(failure: PortFailure): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.failure !== undefined) return
      this.failure = failure
      this.listener?.readable()
      this.listener?.drained()
      // A peer that broke the protocol gets nothing more, and after a defect the effects can't be used. This comes
      // last, because destroying them may report an end, which must come after the failure.
      if (failure._tag === "Defect" || failure._tag === "ProtocolViolation" || failure._tag === "Tampered")
        this.destroy()
    })
  }

  listen(listener: PortListener): void {
    this.listener = listener
    if (this.incomingBytes < highWater) this.roomToRead.openUnsafe()
  }

  take(): Chunks | undefined {
    const { incoming } = this
    if (!isReadonlyArrayNonEmpty(incoming)) return undefined
    this.incoming = []
    this.incomingBytes = 0
    this.roomToRead.openUnsafe()
    return incoming
  }

  get ended(): boolean {
    return this.inputEnded && this.incoming.length === 0
  }

  offer(bytes: Uint8Array): boolean {
    this.outgoing.push(new Uint8Array(bytes))
    this.outgoingBytes += bytes.length
    this.workToWrite.openUnsafe()
    return true
  }

  get pending(): number {
    return this.outgoingBytes + (this.ending === "asked" ? 1 : 0)
  }

  get full(): boolean {
    return this.outgoingBytes >= highWater
  }

  flush(): void {}

  end(): void {
    if (this.ending !== "no") return
    this.ending = "asked"
    this.workToWrite.openUnsafe()
  }

  close(): void {
    this.stopped.openUnsafe()
  }

  destroy(): void {
    this.failure ??= locallyClosed
    this.outgoing = []
    this.stopped.openUnsafe()
    this.effects.destroy?.()
    this.below?.destroy()
  }
}
