/**
 * The connections of one listener, each in a fiber of its own: who comes, who goes through the handshakes, who is served, and how they
 * part when the listener stops.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { ConnectionError, isDraining } from "../ConnectionError.ts"
import type { Environment } from "../Dialer.ts"
import type * as Events from "../Events.ts"
import { Displaced, HandshakeDraining, HandshakeError, HandshakeTimedOut, Rejected } from "../HandshakeError.ts"
import type { LimitValues } from "../Limits.ts"
import type * as Stack from "../Stack.ts"
import type * as Transport from "../Transport.ts"
import type { Pending, Place, Refusal } from "./admission.ts"
import { observed } from "./observed.ts"
import { type Fork, Refusals } from "./refusals.ts"

/** The handler, with what it needs. */
export type Serve = (connection: Connection.Connection) => Effect.Effect<unknown, unknown, Scope.Scope>

/** What a handler left unhandled: the network's doings are ordinary, its own are not. */
const logUnhandled = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  if (Cause.hasDies(cause)) return Effect.logError("a connection's handler died", cause)
  const ordinary = cause.reasons.every(
    (reason) =>
      !Cause.isFailReason(reason) || reason.error instanceof ConnectionError || reason.error instanceof HandshakeError
  )
  return ordinary
    ? Effect.logDebug("a connection failed", cause)
    : Effect.logWarning("a connection's handler failed", cause)
}

/** Where one has come to. */
interface Plan {
  readonly stack: Stack.Stack
  readonly upgrade: Stack.Upgrade
}

/** Why this side ends one that is not through its handshakes. */
type Why = "Displaced" | "TimedOut" | "Draining"

/** One that has come. */
class Arrival implements Pending {
  readonly plan: Plan
  source: string | undefined
  origin: string | undefined
  place: Place | undefined
  /** What hands its transport over, until it has. */
  accepted: Transport.Accepted = Effect.interrupt
  /** What runs it, once its transport has handed it over. */
  fiber: Fiber.Fiber<void> | undefined
  /** What its handshakes go over. */
  transport: Connection.Connection | undefined
  ended: Why | undefined
  private readonly endTransport: ((why: Why) => void) | undefined

  constructor(plan: Plan, source: string | undefined, origin: string | undefined, endTransport?: (why: Why) => void) {
    this.plan = plan
    this.source = source
    this.origin = origin
    this.endTransport = endTransport
  }

  carried(): Connection.Account | undefined {
    return this.transport && Connection.account(this.transport)
  }

  /** No handshake writes before it has read a valid first message. */
  answered(): boolean {
    return (this.carried()?.bytesWritten ?? 0) > 0
  }

  end(why: Why): void {
    this.ended ??= why
    if (this.fiber !== undefined) this.fiber.interruptUnsafe()
    else this.endTransport?.(why)
  }
}

/** The connections of one listener, each in a fiber of `fork`. */
export class Connections {
  readonly draining = Latch.makeUnsafe(false)
  readonly handler = Deferred.makeUnsafe<Serve>()
  private readonly environment: Environment
  private readonly fork: Fork
  private readonly refusals: Refusals
  /** Not in their handler yet. */
  private readonly arriving = new Set<Arrival>()
  private readonly open = new Set<Connection.Connection>()
  private stopping = false

  constructor(environment: Environment, fork: Fork) {
    this.environment = environment
    this.fork = fork
    this.refusals = new Refusals(environment.emit, fork)
  }

  // ---- coming ----

  /** A newcomer: a fiber of its own, or no for an answer. */
  accept(plan: Plan, accepted: Transport.Accepted, source: string | undefined, origin: string | undefined): boolean {
    const arrival = new Arrival(plan, source, origin)
    const refusal = this.forbidden(source) ?? this.admit(arrival)
    if (refusal === undefined) this.begin(arrival, accepted)
    else this.refused(plan, refusal, source, origin)
    return refusal === undefined
  }

  /** One whose transport has to read something before it hands it over. */
  arrive(plan: Plan, source: string | undefined, end: () => void): Transport.Arriving | undefined {
    const arrival = new Arrival(plan, source, undefined, (why) => {
      this.gone(arrival)
      end()
      this.fork(this.failed(arrival, endedError(plan, why, this.environment.limits)))
    })
    const refusal = this.stopping ? "Draining" : this.admit(arrival)
    if (refusal !== undefined) {
      this.refused(plan, refusal, source, undefined)
      return undefined
    }
    return {
      accept: (accepted, known, origin) => this.acceptArrived(arrival, accepted, known, origin),
      stay: () => {
        this.arriving.delete(arrival)
        this.settle(arrival)
      },
      gone: () => this.gone(arrival)
    }
  }

  private acceptArrived(
    arrival: Arrival,
    accepted: Transport.Accepted,
    source: string | undefined,
    origin: string | undefined
  ): boolean {
    if (arrival.ended !== undefined) return false
    if (!this.arriving.has(arrival)) {
      // It stayed for something else before. Now it comes, with a deadline as any.
      this.gone(arrival)
      return this.accept(arrival.plan, accepted, source, origin)
    }
    const refusal = this.forbidden(source) ?? this.move(arrival, source)
    if (refusal === undefined) {
      arrival.origin = origin
      this.begin(arrival, accepted)
    } else {
      this.gone(arrival)
      this.refused(arrival.plan, refusal, source, origin)
    }
    return refusal === undefined
  }

  /** Says that a newcomer was turned away. */
  refused(plan: Plan, tag: Events.Refused["tag"], source: string | undefined, origin: string | undefined): void {
    this.refusals.add({ event: "refused", stack: plan.stack.name, source, origin, tag })
  }

  /** Says that a newcomer was gone before it was looked at. */
  vanished(plan: Plan): void {
    const reason = new Rejected({ after: "connect" })
    const error = new HandshakeError({ protocol: protocolOf(plan), phase: "accept", reason })
    this.fork(this.failed(new Arrival(plan, undefined, undefined), error))
  }

  private forbidden(source: string | undefined): Events.Refused["tag"] | undefined {
    if (this.stopping) return "Draining"
    return this.environment.policy.mayConnect(source) ? undefined : "DeniedByPolicy"
  }

  private admit(arrival: Arrival): Refusal | undefined {
    const place = this.environment.admission.admit(arrival.source, arrival)
    if (typeof place === "string") return place
    arrival.place = place
    this.arriving.add(arrival)
    return undefined
  }

  private move(arrival: Arrival, source: string | undefined): Refusal | undefined {
    if (source === undefined || source === arrival.source || arrival.place === undefined) return undefined
    arrival.source = source
    return this.environment.admission.move(arrival.place, source)
  }

  private begin(arrival: Arrival, accepted: Transport.Accepted): void {
    arrival.accepted = accepted
    arrival.fiber = this.fork(this.live(arrival))
    arrival.fiber.addObserver(() => this.gone(arrival))
    // It has begun to run, so that it may have come to its end already.
    if (arrival.ended !== undefined) arrival.fiber.interruptUnsafe()
  }

  /** It is through its handshakes. */
  private settle({ place }: Arrival): void {
    if (place !== undefined) this.environment.admission.settle(place)
  }

  private gone(arrival: Arrival): void {
    this.arriving.delete(arrival)
    if (arrival.place !== undefined) this.environment.admission.leave(arrival.place)
  }

  // ---- living ----

  /**
   * The whole life of one connection. What is on a fiber's stack stays as long as it waits, with all that was composed below it: so each
   * part is composed when it runs, and the handshakes are not kept.
   */
  private live(arrival: Arrival): Effect.Effect<void> {
    return Effect.suspend(() => this.opened(arrival)).pipe(Effect.scoped, Effect.catchCause(logUnhandled))
  }

  private opened(arrival: Arrival): Effect.Effect<void, unknown, Scope.Scope> {
    const { emit, limits } = this.environment
    const { origin, plan, source } = arrival
    return observed(
      { emit, idle: limits.idle, role: "listen", stack: plan.stack.name, source, origin },
      this.handshaken(arrival)
    ).pipe(
      Effect.flatMap((connection) =>
        Effect.flatMap(Deferred.await(this.handler), (handler) => {
          this.arriving.delete(arrival)
          return this.handled(connection, handler)
        })
      )
    )
  }

  private handled(connection: Connection.Connection, handler: Serve): Effect.Effect<void, unknown, Scope.Scope> {
    this.open.add(connection)
    // A handler that fails with just what draining made of its `pull` has finished.
    return Effect.catchIf(handler(connection), isDraining, () => Effect.void).pipe(
      Effect.flatMap(() => {
        if (this.stopping) return this.part(connection)
        Connection.outlast(connection)
        return Effect.void
      }),
      Effect.onExit(() => {
        this.open.delete(connection)
        return Effect.void
      })
    )
  }

  /** Through all handshakes, or one event that says why not. The deadline is the admission's. */
  private handshaken(arrival: Arrival): Effect.Effect<Connection.Connection, HandshakeError, Scope.Scope> {
    const { accepted, plan } = arrival
    arrival.accepted = Effect.interrupt
    return Effect.flatMap(accepted, (transport) => {
      arrival.transport = transport
      return plan.upgrade(transport)
    }).pipe(
      Effect.onExit((exit) => {
        if (Exit.isSuccess(exit)) {
          arrival.transport = undefined
          this.settle(arrival)
          return Effect.void
        }
        const error = Cause.findError(exit.cause)
        if (Result.isSuccess(error)) return this.failed(arrival, error.success)
        if (Cause.hasDies(exit.cause)) return Effect.void
        return this.failed(arrival, endedError(plan, arrival.ended ?? "Draining", this.environment.limits))
      })
    )
  }

  private failed(arrival: Arrival, error: HandshakeError): Effect.Effect<void> {
    const { admission, emit } = this.environment
    const { place, plan, source, transport } = arrival
    const remote = transport === undefined ? "" : format(transport.remote)
    const stack = plan.stack.name
    const { phase, protocol, reason } = error
    const { bytesRead = 0, bytesWritten = 0 } = arrival.carried() ?? {}
    return Effect.suspend(() => {
      const now = admission.now()
      return Effect.andThen(
        Effect.logDebug("a handshake failed").pipe(Effect.annotateLogs({ remote, stack, error: error.message })),
        emit({
          event: "handshake-failed",
          role: "listen",
          stack,
          source,
          remote,
          protocol,
          phase,
          bytesRead,
          bytesWritten,
          millis: Math.round(now - (place?.since ?? now)),
          tag: reason._tag,
          error
        })
      )
    })
  }

  // ---- leaving ----

  /** Who stops has the grace time to hear the peer's goodbye, so that nothing is lost to a socket closed over unread bytes. */
  private part(connection: Connection.Connection): Effect.Effect<void, ConnectionError> {
    const { close, grace } = this.environment.limits
    const silence = Duration.toMillis(close)
    return Effect.andThen(
      connection.end,
      Connection.readOn(connection, silence, silence, Duration.toMillis(grace) - partMillis)
    )
  }

  /** No newcomers; who has not arrived is ended, and who has is told to finish. */
  stop(): void {
    this.stopping = true
    for (const arrival of this.arriving) arrival.end("Draining")
    for (const connection of this.open) Connection.drain(connection)
    this.draining.openUnsafe()
  }

  /** The grace time is over: peers that don't read are the reason for some, and are told from handlers that don't finish. */
  giveUp(): void {
    for (const connection of this.open) {
      if (Connection.isStalled(connection)) Connection.expire(connection)
    }
  }
}

/** What is left of the grace time for what comes after a goodbye. */
const partMillis = 60

/** Whose handshakes a connection goes through. */
const protocolOf = ({ stack }: Plan): string => {
  const [transport = "", ...transforms] = stack.name.split("~")
  return transforms.join("~") || transport
}

/** The error of one that this side has ended. */
const endedError = (plan: Plan, why: Why, { handshake }: LimitValues): HandshakeError => {
  const protocol = protocolOf(plan)
  switch (why) {
    case "TimedOut": {
      const reason = new HandshakeTimedOut({ millis: Duration.toMillis(handshake) })
      return new HandshakeError({ protocol, phase: "deadline", reason })
    }
    case "Displaced":
      return new HandshakeError({ protocol, phase: "pending", reason: new Displaced() })
    case "Draining":
      return new HandshakeError({ protocol, phase: "pending", reason: new HandshakeDraining() })
  }
}
