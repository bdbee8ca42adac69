/** One attempt of a dial: one address, with deadlines, a scope and events of its own. */
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { type AttemptReason, DialDefect, DialError, DialTimedOut } from "../DialError.ts"
import { uncounted } from "../DialPlaces.ts"
import type { Environment } from "../Environment.ts"
import type { Tried } from "../Events.ts"
import { HandshakeDefect, HandshakeError } from "../HandshakeError.ts"
import { inOwnScope } from "../inOwnScope.ts"
import * as Lifetime from "../Lifetime.ts"
import type { Link } from "../Link.ts"
import { monotonicMillis } from "../monotonic.ts"
import { handshakeSpan } from "../spans.ts"
import type { Candidate, Times } from "./plan.ts"

/**
 * The deadline of an attempt, on the monotonic clock. Each phase has its own deadline, and one timer serves them all.
 */
class Deadline {
  /** The phase under way. The error of a defect names it. */
  phase: keyof Times = "connect"
  private millis = Number.POSITIVE_INFINITY
  private since = 0
  /** When the timer rings, in milliseconds. The timer runs on its own fiber, so that it can be set again. */
  private ringsAt = Number.POSITIVE_INFINITY
  private timer: Fiber.Fiber<void> | undefined
  /** Resumes the fiber that waits for the deadline. There is no timer before `passed` runs, and none after `stop`. */
  private end: ((failure: Effect.Effect<never, DialTimedOut>) => void) | undefined
  private readonly times: Times
  private readonly clock: Clock.Clock
  private readonly context: Context.Context<never>

  constructor(times: Times, clock: Clock.Clock, context: Context.Context<never>) {
    this.times = times
    this.clock = clock
    this.context = context
  }

  private get at(): number {
    return this.since + this.millis
  }

  begin(phase: keyof Times): void {
    this.phase = phase
    this.millis = this.times[phase]
    this.since = monotonicMillis(this.clock)
    // A timer that rings too early is set again when it rings. One that would ring too late is set again now.
    if (this.at < this.ringsAt) this.setTimer()
  }

  /** No deadline runs from here until the handshakes begin. */
  connected(): void {
    this.millis = Number.POSITIVE_INFINITY
  }

  /** Fails when the deadline passes. Call `stop` when nothing waits for it any more. */
  readonly passed: Effect.Effect<never, DialTimedOut> = Effect.callback((resume) => {
    this.end = resume
    this.setTimer()
  })

  stop(): void {
    this.end = undefined
    this.timer?.interruptUnsafe()
  }

  private setTimer(): void {
    if (this.end === undefined) return
    this.timer?.interruptUnsafe()
    this.ringsAt = this.at
    if (this.ringsAt === Number.POSITIVE_INFINITY) return
    const remaining = Math.max(0, Math.ceil(this.ringsAt - monotonicMillis(this.clock)))
    this.timer = Effect.runForkWith(this.context)(this.clock.sleep(Duration.millis(remaining)))
    this.timer.addObserver((exit) => {
      if (Exit.isSuccess(exit)) this.rung()
    })
  }

  private rung(): void {
    if (this.at > monotonicMillis(this.clock)) this.setTimer()
    else this.end?.(Effect.fail(new DialTimedOut({ phase: this.phase, millis: this.millis })))
  }
}

export type Handshake = Effect.Effect<Link, AttemptReason, Scope.Scope>

/** Runs a handshake when its turn has come. */
export type Turn = (handshake: Handshake) => Handshake

const atOnce: Turn = (handshake) => handshake

/**
 * Dials one address: the transport's dial, then each transform, in a scope of its own. When the attempt fails or is
 * interrupted, closing that scope undoes everything: the socket is destroyed at once, whichever message the handshake
 * has reached. An attempt that fails adds itself to `failed`, and is told of as a `Fallback` when `next` says which
 * address is tried now.
 */
export const attempt = (
  { deadlines, emit, limits, nextId, places, spanned }: Environment,
  { address, connect, stack, times, upgrade }: Candidate,
  failed: Array<Tried>,
  next: () => Candidate | undefined,
  turn: Turn = atOnce
): Effect.Effect<Connection.Connection, AttemptReason, Scope.Scope> =>
  Effect.withFiber<Connection.Connection, AttemptReason, Scope.Scope>((fiber) => {
    const clock = fiber.getRef(Clock.Clock)
    const started = monotonicMillis(clock)
    const deadline = new Deadline(times, clock, fiber.context)
    let connectMillis: number | undefined
    const took = () => Math.round(monotonicMillis(clock) - started)
    const { opensSockets } = stack.transport
    const place = places.place(opensSockets)
    const withPlace = <A, E, R>(connecting: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> => {
      const begun = () => {
        deadline.begin("connect")
        return connecting()
      }
      if (place.take()) return begun()
      deadline.begin("place")
      return Effect.flatMap(place.taken, begun)
    }
    // A look-up needs no socket, so the dial gives its place back meanwhile: a dial to an IP never waits for the
    // look-up of another dial.
    const lookingUp = <A, E, R>(lookup: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      Effect.suspend(() => {
        place.giveBack()
        deadline.begin("place")
        const asked = Effect.suspend(() => {
          deadline.begin("lookup")
          return lookup
        })
        return Effect.flatMap(places.lookups.withPermits(1)(asked), (found) => withPlace(() => Effect.succeed(found)))
      })
    const help = { lookingUp, spare: opensSockets ? places.spare : uncounted }
    const placed = Effect.suspend(() => withPlace(() => connect(help)))
    const open = Effect.flatMap(placed, (transport) => {
      connectMillis = took()
      place.connected()
      deadline.connected()
      return turn(
        Effect.suspend(() => {
          deadline.begin("handshake")
          return upgrade(transport)
        }).pipe(handshakeSpan(spanned, stack.name, "client"))
      )
    })
    const opened = Effect.map(Effect.raceFirst(open, deadline.passed), (link): Lifetime.Opened => {
      deadline.stop()
      link.leaving.leaveWith(place)
      return { connection: Connection.onTop(link, nextId(), deadlines), leaving: link.leaving }
    })
    const died = (cause: unknown): Effect.Effect<void> => {
      const { phase } = deadline
      const reason =
        phase === "handshake"
          ? new HandshakeError({ protocol: stack.name, phase: "defect", reason: new HandshakeDefect({ cause }) })
          : new DialDefect({ phase, cause })
      const error = new DialError({ address: format(address), reason })
      return emit({ _tag: "DialFailed", error, millis: took() })
    }
    const observed = Lifetime.observe(
      { emit, idle: limits.idle, role: "dial", stack: stack.name, failed, connectMillis: () => connectMillis, died },
      opened
    )
    return inOwnScope(observed, () => {
      deadline.stop()
      place.leave()
    }).pipe(
      Effect.map(({ value }) => value.connection),
      Effect.tapError((reason) =>
        Effect.suspend(() => {
          const tried = { address: format(address), reason, stack: stack.name, millis: took(), connectMillis }
          failed.push(tried)
          const to = next()
          return to === undefined
            ? Effect.void
            : emit({
                _tag: "Fallback",
                from: stack.name,
                to: to.stack.name,
                failed: tried,
                next: format(to.address)
              })
        })
      )
    )
  }).pipe(
    spanned({
      name: "Multiserver.attempt",
      kind: "client",
      attributes: () => ({ "multiserver.address": format(address), "multiserver.stack": stack.name })
    })
  )
