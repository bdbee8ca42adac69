/** The life of one worker process: what it says, which connections it has, and how it ended. */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import type { AddressError } from "../AddressError.ts"
import { Other } from "../ConnectionError.ts"
import type * as Events from "../Events.ts"
import type { ListenError } from "../ListenError.ts"
import { monotonicMillis } from "../monotonic.ts"
import type { WorkersError } from "./errors.ts"
import type { Ended, Forked } from "./forked.ts"
import type { FromWorker, Init, Places } from "./messages.ts"

/** How many events a worker may send before the parent has taken them. */
export const eventsUnderWay = 1024
/** After how many events the worker is told that they were taken. */
const eventsAtOnce = 64
/** How much longer than it has said a worker may take to stop, before it is killed. */
const patienceMillis = 5000

export type Failure = WorkersError | ListenError | AddressError

/** What the life of a worker needs of the others. */
export interface Around {
  /** From 1. */
  readonly worker: number
  readonly init: Init
  readonly emit: Events.Sink
  readonly said: (said: unknown) => Effect.Effect<void>
  readonly bound: (place: string, port: number) => void
  /** Called when it listens. A failure stops this worker, and then all of them. */
  readonly ready: (listeners: ReadonlyArray<Places>) => Effect.Effect<void, WorkersError>
}

/** How a worker has ended that was not told to stop. */
export interface Outcome extends Ended {
  readonly pid: number
  /** When it was ready; `undefined`: never. */
  readonly readyAt: number | undefined
  /** Why it could not start, where it says so. */
  readonly failure: Failure | undefined
  readonly detail: string
  /** Why all workers have to stop. */
  readonly fatal: WorkersError | undefined
  /** The events of the connections that broke with it. */
  readonly broken: ReadonlyArray<Events.Closed>
}

const gone = new Other({
  code: "WorkerExited",
  detail: "its worker process has ended, and how many bytes it has carried is not known",
  isRetryable: false
})

interface Open {
  readonly event: Events.Connected
  readonly since: number
}

class Life {
  private readonly open = new Map<number, Open>()
  private readonly forked: Forked
  private readonly around: Around
  private readonly clock: Clock.Clock
  private readonly began: number
  private readyAt: number | undefined
  private failure: Failure | undefined
  private detail = ""
  private fatal: WorkersError | undefined
  private taken = 0
  private graceMillis = 0

  constructor(forked: Forked, around: Around, clock: Clock.Clock) {
    this.forked = forked
    this.around = around
    this.clock = clock
    this.began = monotonicMillis(clock)
  }

  /** How long it may take to stop, in milliseconds. */
  get patience(): number {
    return this.graceMillis + patienceMillis
  }

  /** Takes what the worker says until it is gone. */
  readonly heard: Effect.Effect<Outcome> = Effect.suspend(() =>
    Queue.take(this.forked.messages).pipe(
      Effect.flatMap((message) => this.hear(message)),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void),
      Effect.map(() => this.outcome())
    )
  )

  private hear(message: FromWorker): Effect.Effect<void> {
    switch (message._tag) {
      case "Happened":
        return Effect.andThen(
          Effect.forEach(message.events, (event) => this.around.emit(this.noted(event)), { discard: true }),
          Effect.sync(() => this.take(message.events.length))
        )
      case "Hello":
        return Effect.sync(() => this.forked.send(this.around.init))
      case "Bound":
        return Effect.sync(() => this.around.bound(message.place, message.port))
      case "Ready":
        return Effect.suspend(() => {
          const now = monotonicMillis(this.clock)
          this.readyAt = now
          this.graceMillis = message.graceMillis
          const { worker } = this.around
          const started: Events.WorkerStarted = {
            _tag: "WorkerStarted",
            worker,
            pid: this.forked.pid,
            millis: Math.round(now - this.began)
          }
          return this.around.emit(started).pipe(
            Effect.andThen(this.around.ready(message.listeners)),
            Effect.catch((error) =>
              Effect.suspend(() => {
                this.fatal = error
                this.forked.send({ _tag: "Stop" })
                const kill = Effect.delay(Effect.sync(this.forked.kill), this.patience)
                return Effect.asVoid(Effect.forkChild(kill))
              })
            )
          )
        })
      case "Failed":
        return Effect.sync(() => {
          this.failure = message.error ?? undefined
          this.detail = message.detail
        })
      case "Lost":
        return Effect.logWarning(
          `worker ${this.around.worker} has lost ${message.events} events: the sinks of events are too slow`
        )
      case "Said":
        return this.around.said(message.said)
    }
  }

  /** Tells the worker now and then how many events were taken. */
  private take(events: number): void {
    this.taken += events
    if (this.taken < eventsAtOnce) return
    this.forked.send({ _tag: "Taken", events: this.taken })
    this.taken = 0
  }

  /** The event with the number of the worker. Also remembers which connections are open. */
  private noted(event: Events.Event): Events.Event {
    const { worker } = this.around
    switch (event._tag) {
      case "Connected": {
        const own = { ...event, worker }
        this.open.set(event.id, { event: own, since: monotonicMillis(this.clock) })
        return own
      }
      case "Closed":
        this.open.delete(event.id)
        return { ...event, worker }
      case "HandshakeFailed":
      case "Refused":
        return { ...event, worker }
      default:
        return event
    }
  }

  private outcome(): Outcome {
    const { detail, failure, fatal, readyAt } = this
    const now = monotonicMillis(this.clock)
    const broken = [...this.open.values()].map(({ event, since }): Events.Closed => {
      const { id, millis, peer, remote, role, source, stack, worker } = event
      const common = { role, remote, stack, source, id, peer, worker, bytesRead: 0, bytesWritten: 0 }
      const lasted = millis + Math.round(now - since)
      return { _tag: "Closed", phase: "open", ...common, millis: lasted, tag: "Other", failure: gone }
    })
    return { ...this.forked.ended(), pid: this.forked.pid, readyAt, failure, detail, fatal, broken }
  }
}

/**
 * Runs a worker process until it ends. When it is interrupted, it tells the worker to stop, and waits until it has. A
 * worker that takes longer than it said is killed.
 */
export const live = (fork: Effect.Effect<Forked>, around: Around): Effect.Effect<Outcome> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const forked = yield* fork
      const life = new Life(forked, around, yield* Clock.Clock)
      const hearing = yield* Effect.forkDetach(life.heard, { startImmediately: true })
      const stopped = Effect.suspend(() => {
        forked.send({ _tag: "Stop" })
        const ended = Fiber.join(hearing)
        return Effect.timeoutOrElse(ended, {
          duration: life.patience,
          orElse: () => Effect.andThen(Effect.sync(forked.kill), ended)
        })
      })
      return yield* Effect.onInterrupt(restore(Fiber.join(hearing)), () =>
        Effect.flatMap(stopped, ({ broken }) =>
          Effect.forEach(broken, (event) => around.emit(event), { discard: true })
        )
      )
    })
  )
