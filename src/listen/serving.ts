/** The life of one connection that has arrived: its handshakes, then its handler. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Result from "effect/Result"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { ConnectionError, isDraining } from "../ConnectionError.ts"
import type { Environment } from "../Environment.ts"
import { effectOf } from "../effectOf.ts"
import { HandshakeDefect, HandshakeError } from "../HandshakeError.ts"
import * as Lifetime from "../Lifetime.ts"
import type { Link } from "../Link.ts"
import { handshakeSpan, withErrorType } from "../spans.ts"
import type { Admission } from "./admission.ts"
import { type Arrival, endedError, protocolOf } from "./arrival.ts"
import { sayGoodbye } from "./drain.ts"
import type { Roster } from "./roster.ts"

/** The handler, with all that it requires. */
export type Serve = (connection: Connection.Connection) => Effect.Effect<unknown, unknown, Scope.Scope>

/** Logs how a connection's fiber failed. A failure of the network is ordinary, one of the handler's own is not. */
const logUnhandled = (cause: Cause.Cause<unknown>): Effect.Effect<void> => {
  if (Cause.hasInterruptsOnly(cause)) return Effect.void
  if (Cause.hasDies(cause))
    return Effect.logError("a connection died of a defect: in its handler, or in the code of a protocol", cause)
  const ordinary = cause.reasons.every(
    (reason) =>
      !Cause.isFailReason(reason) || reason.error instanceof ConnectionError || reason.error instanceof HandshakeError
  )
  return ordinary
    ? Effect.logDebug("a connection failed", cause)
    : Effect.logWarning("a connection's handler failed", cause)
}

/** The connections of one listener. */
export class Serving {
  /** What is done with each connection. A connection that arrives before the handler waits for it. */
  readonly handler = Deferred.makeUnsafe<Serve>()
  private readonly environment: Environment
  private readonly admission: Admission
  private readonly roster: Roster

  constructor(environment: Environment, admission: Admission, roster: Roster) {
    this.environment = environment
    this.admission = admission
    this.roster = roster
  }

  /**
   * The whole life of one connection. A fiber that waits keeps in memory every effect that was composed around the one
   * it runs. So each part is composed only when it runs, and an open connection does not keep its handshakes.
   */
  live(arrival: Arrival): Effect.Effect<void> {
    const { binding, source } = arrival
    const span = this.environment.spanned({
      name: "Multiserver.serve",
      kind: "server",
      root: true,
      attributes: () => ({ "multiserver.stack": binding.stack.name, "client.address": source })
    })
    return Effect.withFiber((fiber) => {
      const { context } = fiber
      arrival.mayYield = () => {
        arrival.mayYield = undefined
        fiber.setContext(context)
      }
      // Until the transport's effect has begun, nothing owns the socket that has arrived. So the fiber must not be
      // interrupted before that, and it does not yield.
      fiber.setContext(Context.add(context, Scheduler.PreventSchedulerYield, true))
      return this.opened(arrival)
    }).pipe(withErrorType(this.environment.spanned), span, Effect.scoped, Effect.catchCause(logUnhandled))
  }

  private opened(arrival: Arrival): Effect.Effect<void, unknown, Scope.Scope> {
    const { deadlines, emit, limits, nextId } = this.environment
    const { binding, origin, source } = arrival
    const open = Effect.map(
      this.handshaken(arrival),
      (link): Lifetime.Opened => ({ connection: Connection.onTop(link, nextId(), deadlines), leaving: link.leaving })
    )
    return Lifetime.observe(
      { emit, idle: limits.idle, role: "listen", stack: binding.stack.name, source, origin },
      open
    ).pipe(
      Effect.flatMap((opened) =>
        Effect.flatMap(Deferred.await(this.handler), (handler) => {
          this.roster.arriving.delete(arrival)
          return this.handled(opened, handler)
        })
      )
    )
  }

  /** Runs all handshakes, and emits an event when they fail. The admission watches the deadline. */
  private handshaken(arrival: Arrival): Effect.Effect<Link, HandshakeError, Scope.Scope> {
    const { accepted = Effect.interrupt, binding } = arrival
    return Effect.flatMap(effectOf("the transport", accepted), (link) => {
      const { place } = arrival
      arrival.accepted = undefined
      arrival.link = link
      arrival.mayYield?.()
      if (place !== undefined) link.leaving.onAnswer = () => this.admission.answered(place)
      return binding.upgrade(link).pipe(handshakeSpan(this.environment.spanned, binding.stack.name, "server"))
    }).pipe(
      Effect.onExit((exit) => {
        arrival.accepted = undefined
        arrival.mayYield?.()
        if (arrival.link !== undefined) arrival.link.leaving.onAnswer = undefined
        if (Exit.isSuccess(exit)) {
          arrival.link = undefined
          if (arrival.place !== undefined) this.admission.settle(arrival.place)
          return Effect.void
        }
        // This side has ended it, whatever the end looked like to its protocols.
        if (arrival.endedBy !== undefined) return this.interrupted(arrival)
        const error = Cause.findError(exit.cause)
        if (Result.isSuccess(error)) return this.handshakeFailed(arrival, error.success)
        const defect = Cause.findDefect(exit.cause)
        if (Result.isSuccess(defect)) return this.died(arrival, defect.success)
        return this.interrupted(arrival)
      })
    )
  }

  /** Emits why a newcomer was interrupted: this side ended it, or a protocol's code interrupted itself. */
  interrupted(arrival: Arrival): Effect.Effect<void> {
    const { binding, endedBy } = arrival
    if (endedBy !== undefined)
      return this.handshakeFailed(arrival, endedError(binding, endedBy, this.environment.limits))
    return this.died(arrival, new Error("its handshakes were interrupted, and not by this listener"))
  }

  /** The protocol's own code threw. That ends this newcomer, and no other. */
  private died(arrival: Arrival, cause: unknown): Effect.Effect<void> {
    const reason = new HandshakeDefect({ cause })
    return this.handshakeFailed(
      arrival,
      new HandshakeError({ protocol: protocolOf(arrival.binding), phase: "defect", reason })
    )
  }

  /** Emits that a newcomer did not get through its handshakes. */
  handshakeFailed(arrival: Arrival, error: HandshakeError): Effect.Effect<void> {
    const { binding, link, place, source } = arrival
    const remote = link === undefined ? "" : format(link.remote)
    const stack = binding.stack.name
    const { phase, protocol, reason } = error
    const { handshakeRead: bytesRead = 0, handshakeWritten: bytesWritten = 0 } = link?.leaving ?? {}
    return Effect.suspend(() => {
      // Before the event, which may take a while: a failed newcomer must not keep its file descriptor meanwhile.
      link?.leaving.destroy()
      const now = this.admission.now()
      return Effect.andThen(
        Effect.logDebug("a handshake failed").pipe(Effect.annotateLogs({ remote, stack, error: error.message })),
        this.environment.emit({
          _tag: "HandshakeFailed",
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

  private handled({ connection, leaving }: Lifetime.Opened, handler: Serve): Effect.Effect<void, unknown, Scope.Scope> {
    const { served } = this.roster
    served.add(leaving)
    // A handler that fails only because its `pull` failed with `LocallyClosed(draining)` has finished.
    return Effect.catchIf(handler(connection), isDraining, () => Effect.void).pipe(
      Effect.flatMap(() => {
        if (this.roster.stopping) return sayGoodbye(connection, leaving, this.environment.limits)
        leaving.outlast()
        return Effect.void
      }),
      Effect.onExit(() => {
        served.delete(leaving)
        return Effect.void
      })
    )
  }
}
