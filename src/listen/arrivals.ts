/**
 * The newcomers of one listener. Each one is refused at once, or gets a place of the admission and a fiber of its own.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Scheduler from "effect/Scheduler"
import type { Environment } from "../Environment.ts"
import type * as Events from "../Events.ts"
import { HandshakeError, Rejected } from "../HandshakeError.ts"
import type { Exceeded } from "../Limits.ts"
import { printable } from "../printable.ts"
import type * as Transport from "../Transport.ts"
import type { Admission } from "./admission.ts"
import { Arrival, endedError, protocolOf } from "./arrival.ts"
import type { Binding } from "./bindings.ts"
import { type Fork, Refusals } from "./refusals.ts"
import type { Roster } from "./roster.ts"
import type { Serving } from "./serving.ts"

export class Arrivals {
  private readonly environment: Environment
  private readonly admission: Admission
  private readonly roster: Roster
  private readonly serving: Serving
  private readonly fork: Fork
  private readonly refusals: Refusals

  constructor(environment: Environment, admission: Admission, roster: Roster, serving: Serving, fork: Fork) {
    this.environment = environment
    this.admission = admission
    this.roster = roster
    this.serving = serving
    this.fork = fork
    this.refusals = new Refusals(environment.emit, fork)
  }

  /** A connection has arrived: gives it a fiber, or refuses it. Answers whether it was accepted. */
  accept(
    binding: Binding,
    accepted: Transport.Accepted,
    source: string | undefined,
    origin: string | undefined
  ): boolean {
    const arrival = new Arrival(binding, source, origin)
    const refusal = this.forbidden(binding, source) ?? this.admit(arrival)
    if (refusal === undefined) this.begin(arrival, accepted)
    else this.refused(binding, refusal, source, origin)
    return refusal === undefined
  }

  /** A newcomer whose transport must read something before there is a connection. `undefined`: it is refused. */
  arrive(
    binding: Binding,
    source: string | undefined,
    end: () => void,
    hasSpoken: () => boolean = () => false
  ): Transport.Arriving | undefined {
    const arrival = new Arrival(binding, source, undefined, {
      hasSpoken: () => this.safely("was asked whether a newcomer has spoken", hasSpoken) === true,
      end: (why) => {
        this.gone(arrival)
        this.safely("was told to end a newcomer", end)
        this.fork(this.serving.handshakeFailed(arrival, endedError(binding, why, this.environment.limits)))
      }
    })
    // Behind a trusted proxy, the source is not known yet. Policy is asked when it is.
    const unwanted = source === undefined && !this.roster.stopping ? undefined : this.forbidden(binding, source)
    const refusal = unwanted ?? this.admit(arrival)
    if (refusal !== undefined) {
      this.refused(binding, refusal, source, undefined)
      return undefined
    }
    return {
      accept: (accepted, known, origin) => this.acceptArrived(arrival, accepted, known, origin),
      stay: (known) => this.stay(arrival, known),
      gone: () => this.gone(arrival)
    }
  }

  /** Counts a socket that outlives its connection: see `Admission.linger`. */
  linger(end: () => void): () => void {
    return this.admission.linger(() => this.safely("was told to end a newcomer", end))
  }

  /** A transport may be third-party code. What it throws must stop neither the deadlines nor another newcomer. */
  private safely<A>(when: string, call: () => A): A | undefined {
    try {
      return call()
    } catch (defect) {
      this.environment.report(`a transport threw when it ${when}`, defect)
      return undefined
    }
  }

  /**
   * The newcomer came for something other than a connection. If its source is known only now, policy is asked about
   * that source, each time.
   */
  private stay(arrival: Arrival, source: string | undefined): boolean {
    const { address, stack } = arrival.binding
    const isNew = source !== undefined && source !== arrival.source
    if (isNew && !this.environment.policy.mayConnect(source, stack.transport.below(address.transport))) {
      this.refused(arrival.binding, "DeniedByPolicy", source, undefined)
      return false
    }
    this.roster.arriving.delete(arrival)
    if (arrival.place !== undefined) this.admission.stay(arrival.place)
    return true
  }

  private acceptArrived(
    arrival: Arrival,
    accepted: Transport.Accepted,
    source: string | undefined,
    origin: string | undefined
  ): boolean {
    if (arrival.endedBy !== undefined) return false
    if (!this.roster.arriving.has(arrival)) {
      // It was here for something else. Now it is a connection, and has a deadline like any other.
      this.gone(arrival)
      return this.accept(arrival.binding, accepted, source, origin)
    }
    const refusal = this.forbidden(arrival.binding, source) ?? this.move(arrival, source)
    if (refusal === undefined) {
      arrival.origin = origin
      this.begin(arrival, accepted)
    } else {
      this.gone(arrival)
      this.refused(arrival.binding, refusal, source, origin)
    }
    return refusal === undefined
  }

  /** Emits that a newcomer was turned away. */
  refused(
    { stack }: Binding,
    tag: Events.Refused["tag"],
    source: string | undefined,
    origin: string | undefined
  ): void {
    this.refusals.add({ _tag: "Refused", stack: stack.name, source, origin: origin && printable(origin), tag })
  }

  /** Emits that a newcomer left before its handshakes could begin. */
  vanished(binding: Binding): void {
    const reason = new Rejected({ after: "connect" })
    const error = new HandshakeError({ protocol: protocolOf(binding), phase: "accept", reason })
    this.fork(this.serving.handshakeFailed(new Arrival(binding, undefined, undefined), error))
  }

  private forbidden({ address, stack }: Binding, source: string | undefined): Events.Refused["tag"] | undefined {
    if (this.roster.stopping) return "Draining"
    const at = stack.transport.below(address.transport)
    return this.environment.policy.mayConnect(source, at) ? undefined : "DeniedByPolicy"
  }

  private admit(arrival: Arrival): Exceeded | undefined {
    const place = this.admission.admit(arrival.source, arrival)
    if (typeof place === "string") return place
    arrival.place = place
    this.roster.arriving.add(arrival)
    return undefined
  }

  /** Counts a newcomer for its source, if that is known only now. */
  private move(arrival: Arrival, source: string | undefined): Exceeded | undefined {
    if (source === undefined || source === arrival.source || arrival.place === undefined) return undefined
    arrival.source = source
    return this.admission.move(arrival.place, source)
  }

  private begin(arrival: Arrival, accepted: Transport.Accepted): void {
    arrival.accepted = accepted
    arrival.fiber = this.fork(this.serving.live(arrival))
    arrival.fiber.addObserver(() => {
      this.gone(arrival)
      if (arrival.accepted !== undefined) this.letGo(arrival, arrival.accepted)
    })
    // The fiber has begun to run, and something that it did may have ended the arrival already.
    if (arrival.endedBy !== undefined) arrival.fiber.interruptUnsafe()
  }

  /**
   * The fiber ended before the transport's effect began: it was interrupted before that, or the code around the effect
   * died. Runs that effect alone and interrupts it, so that the socket is taken over and closed at once.
   */
  private letGo(arrival: Arrival, accepted: Transport.Accepted): void {
    const unyielding = Context.make(Scheduler.PreventSchedulerYield, true)
    Effect.runForkWith(unyielding)(Effect.exit(Effect.scoped(accepted))).interruptUnsafe()
    this.fork(this.serving.interrupted(arrival))
  }

  private gone(arrival: Arrival): void {
    this.roster.arriving.delete(arrival)
    if (arrival.place !== undefined) this.admission.leave(arrival.place)
  }
}
