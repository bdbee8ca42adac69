/**
 * A transport with somebody in the middle, who delays, splits, flips, cuts and resets what passes, for tests of protocols and of
 * programs over them. It is laid over any transport, and does the same again for the same seed:
 *
 * ```ts
 * const rough = Chaos.layer("memory", { seed: 7, delay: "20 millis", split: 100, harm: { what: "flip", within: 1000 } })
 * const Live = Multiserver.layer(["memory~mine"]).pipe(Layer.provide([rough.pipe(Layer.provide(Memory.layer)), mine]))
 * ```
 *
 * It sits at the dialer's end and has both directions in its hands. Delays are of the fiber's clock: under `TestClock` they pass
 * when the test says so.
 */
import { isArrayNonEmpty } from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { locallyClosed, type PortFailure, Reset } from "../ConnectionError.ts"
import * as Link from "../Link.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"
import * as Transport from "../Transport.ts"

/** What is done once to a connection. */
export interface Harm {
  /**
   * `flip`: one bit changes. `cut`: the direction ends there, as if its sender had ended it, and the rest is lost. `reset`: both
   * ends hear of a broken connection.
   */
  readonly what: "flip" | "cut" | "reset"
  /** It is done at one of the first so many bytes of a direction, by the seed. A connection that carries fewer may go unharmed. */
  readonly within: number
  /** The direction; by the seed where it isn't said. */
  readonly toward?: "dialer" | "listener"
}

/** A harm that was done. */
export interface Done {
  readonly what: Harm["what"]
  readonly toward: "dialer" | "listener"
  /** At which byte of the direction. */
  readonly at: number
}

export interface Options {
  /** The same seed does the same to connections that are dialed in the same order. */
  readonly seed: number
  /** Each piece is held back up to this long. By default not at all. */
  readonly delay?: Duration.Input
  /** Pieces have 1 to this many bytes. By default they stay as they are. */
  readonly split?: number
  /** By default none: all that is written arrives, and as it was written. */
  readonly harm?: Harm
  /** Hears of each harm that is done. */
  readonly onHarm?: (done: Done) => void
}

/** Full, and reading pauses, when this many bytes wait. */
const highWater = 64 * 1024

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
class Lane {
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

class ChaosPort implements Port {
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

  /** Takes what has arrived below, as long as not too much of it is on its way. */
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

  /** What broke below is heard behind what had arrived before. */
  get failure(): PortFailure | undefined {
    return this.own ?? (this.toward.dialer.done ? this.below.failure : undefined)
  }

  // ---- writing ----

  /** Copies every other time: who is above has to be right about both. */
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

const around = (shape: Transport.Shape, { delay = 0, harm, onHarm, seed, split }: Options): Transport.Shape => {
  let dialed = 0
  const delayMillis = Duration.toMillis(Duration.fromInputUnsafe(delay))
  const harmOf = (harm: Harm): Effect.Effect<Done> =>
    Effect.gen(function* () {
      const toward = (yield* Random.nextBoolean) ? "dialer" : "listener"
      const at = yield* Random.nextIntBetween(0, Math.max(0, harm.within - 1))
      return { what: harm.what, toward: harm.toward ?? toward, at }
    })
  const disturb = (link: Link.Link): Effect.Effect<Link.Link, never, Scope.Scope> =>
    Effect.gen(function* () {
      const name = `${seed} ${dialed++}`
      const done = harm === undefined ? undefined : yield* Random.withSeed(harmOf(harm), name)
      const lane = (toward: Done["toward"]) =>
        new Lane({ delayMillis, split, harm: done?.toward === toward ? done : undefined })
      const port = new ChaosPort(link.port, { dialer: lane("dialer"), listener: lane("listener") }, (done) =>
        onHarm?.(done)
      )
      yield* Effect.forkScoped(Random.withSeed(port.inbound, `${name} in`), { startImmediately: true })
      yield* Effect.forkScoped(Random.withSeed(port.outbound, `${name} out`), { startImmediately: true })
      return Link.over(link, port, {})
    })
  return {
    ...shape,
    dial: (section) =>
      Result.map(
        shape.dial(section),
        (dial) => (options) => Effect.flatMap(dial(options), (link) => Link.lay(link, disturb))
      )
  }
}

/** The transport of that name with chaos at its dialers. It requires the one that it is laid over. */
export const layer = <const Name extends string>(
  name: Name,
  options: Options
): Layer.Layer<Transport.Transport<Name>, never, Transport.Transport<Name>> =>
  Layer.effect(
    Transport.Transport(name),
    Effect.map(Transport.Transport(name), (shape) => around(shape, options))
  )
