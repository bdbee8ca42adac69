/**
 * The port of a disturbed connection: a lane for each direction, and a fiber for each that passes what is in the lane.
 */
import { isArrayNonEmpty } from "effect/Array"
import type * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import { locallyClosed, type PortFailure, Reset } from "../../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../../Port.ts"
import type { Done } from "./harm.ts"
import type { Lane } from "./lane.ts"

/** When this many bytes wait, the port is full, and reading pauses. */
const highWater = 64 * 1024

export class ChaosPort implements Port {
  readonly halfClose
  readonly inbound: Effect.Effect<void>
  readonly outbound: Effect.Effect<void>
  readonly below: Port
  private readonly toward: { readonly dialer: Lane; readonly listener: Lane }
  private listener: PortListener | undefined
  private own: PortFailure | undefined
  private arrived: Array<Uint8Array> = []
  private arrivedBytes = 0
  private inputEnded = false
  private copying = false
  private readonly roomToRead = Latch.makeUnsafe(true)
  private readonly roomToWrite = Latch.makeUnsafe(true)

  constructor(lower: Port, toward: ChaosPort["toward"], harmed: (done: Done) => void) {
    this.below = lower
    this.toward = toward
    this.halfClose = lower.halfClose
    const common = { harmed, reset: () => this.reset() }
    this.inbound = toward.dialer.run({
      ...common,
      room: this.roomToRead.await,
      deliver: (piece) => this.arrives(piece),
      end: () => {
        this.inputEnded = lower.ended || lower.failure === undefined
        this.tell()
      }
    })
    this.outbound = toward.listener.run({
      ...common,
      room: this.roomToWrite.await,
      deliver: (piece) => {
        lower.offer(piece)
        lower.flush()
        this.written()
      },
      end: () => {
        lower.end()
        this.written()
      }
    })
  }

  private tell(): void {
    this.listener?.readable()
    this.listener?.drained()
  }

  private reset(): void {
    this.own ??= new Reset({ code: "ECONNRESET" })
    this.below.destroy()
    this.tell()
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const first = this.listener === undefined
    this.listener = listener
    if (!first) return
    this.below.listen({ readable: () => this.fill(), drained: () => this.written() })
    this.fill()
  }

  /** Takes what has arrived below, unless too much of it is in the lane already. */
  private fill(): void {
    const { below: lower } = this
    const { dialer } = this.toward
    while (dialer.bytes < highWater) {
      const chunks = lower.take()
      if (chunks === undefined) {
        if (dialer.done) this.tell()
        else if (lower.ended || lower.failure !== undefined) dialer.end()
        return
      }
      dialer.put(chunks)
    }
  }

  private arrives(piece: Uint8Array): void {
    this.arrived.push(piece)
    this.arrivedBytes += piece.length
    if (this.arrivedBytes >= highWater) this.roomToRead.closeUnsafe()
    this.listener?.readable()
    this.fill()
  }

  take(): Chunks | undefined {
    const { arrived } = this
    if (!isArrayNonEmpty(arrived)) return undefined
    this.arrived = []
    this.arrivedBytes = 0
    this.roomToRead.openUnsafe()
    return arrived
  }

  get ended(): boolean {
    return this.inputEnded && this.arrived.length === 0
  }

  /** A failure of the port below is seen only after what had arrived before it. */
  get failure(): PortFailure | undefined {
    return this.own ?? (this.toward.dialer.done ? this.below.failure : undefined)
  }

  // ---- writing ----

  /** Copies every other time, because callers have to handle both answers. */
  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined) return true
    this.copying = !this.copying
    this.toward.listener.put([this.copying ? new Uint8Array(bytes) : bytes])
    return this.copying || this.pending === 0
  }

  private written(): void {
    if (this.below.full) this.roomToWrite.closeUnsafe()
    else this.roomToWrite.openUnsafe()
    this.listener?.drained()
  }

  get pending(): number {
    const { listener } = this.toward
    return this.failure === undefined ? listener.bytes + (listener.isEnding ? 1 : 0) + this.below.pending : 0
  }

  get full(): boolean {
    return this.failure === undefined && this.toward.listener.bytes >= highWater
  }

  flush(): void {}

  end(): void {
    this.toward.listener.end()
  }

  // ---- leaving ----

  close(): void {
    this.own ??= locallyClosed
  }

  destroy(): void {
    this.own ??= this.below.failure ?? locallyClosed
    this.below.destroy()
  }
}
