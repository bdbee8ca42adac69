/**
 * Dialing: from addresses to a connection.
 *
 * Plan: which addresses fit a stack that is spoken, and what policy says; no I/O. Then each attempt, in a scope and with
 * deadlines of its own: the transport's dial, then each transform. The first that succeeds is the connection; a failed or
 * interrupted attempt has left nothing.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { type Address, format, hasSecret, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import {
  AllFailed,
  type Attempt,
  type AttemptReason,
  DeniedByPolicy,
  DialError,
  DialTimedOut,
  Insecure,
  NotDialable,
  type TransportReason,
  Unsupported
} from "./DialError.ts"
import type * as Events from "./Events.ts"
import type { Admission } from "./internal/admission.ts"
import { inOwnScope } from "./internal/inOwnScope.ts"
import { observed } from "./internal/observed.ts"
import type { LimitValues } from "./Limits.ts"
import { allowAll, type PolicyRules } from "./Policy.ts"
import * as Stack from "./Stack.ts"

/** What a Multiserver dials and listens with. */
export interface Environment {
  readonly stacks: ReadonlyMap<string, Stack.Stack>
  readonly policy: PolicyRules
  readonly limits: LimitValues
  readonly emit: Events.Sink
  readonly admission: Admission
}

/**
 * In which order addresses are dialed.
 *
 * - `inOrder`: the next when one fails.
 * - `race`: several connect at once, cheaper transports first, each 250 ms after the one before it or when that has failed; one at
 *   a time does its handshake, and the next after its failure or a second. An address with a seed does its handshake alone.
 * - `firstUnderstood`: only the first whose stack is spoken, as npm multiserver does.
 * - a function: from the addresses that are understood to those that are tried, in order.
 */
export type DialPlan =
  | "inOrder"
  | "race"
  | "firstUnderstood"
  | ((understood: ReadonlyArray<Address>) => ReadonlyArray<Address>)

export interface DialOptions {
  /** By default `inOrder`. */
  readonly plan?: DialPlan
}

// -----------------------------------------------------------------------------
// plan
// -----------------------------------------------------------------------------

/** An address that can be tried. */
interface Candidate {
  readonly address: Address
  readonly stack: Stack.Stack
  readonly connect: Effect.Effect<Connection.Connection, TransportReason, Scope.Scope>
  readonly upgrade: Stack.Upgrade
}

/** What becomes of one address before anything is done. */
const consider = ({ policy, stacks }: Environment, address: Address): Result.Result<Candidate, AttemptReason> => {
  const stack = stacks.get(address.stack)
  if (stack === undefined) {
    return Result.fail(new Unsupported({ stack: address.stack, spoken: [...stacks.keys()] }))
  }
  if (!policy.mayDial(address)) return Result.fail(new DeniedByPolicy({ detail: "may not dial this address" }))
  const notDialable = (detail: string) => new NotDialable({ detail })
  const permits = (ip: string) => policy.mayDialIp(ip, address)
  const dial = stack.transport.dial(address.transport)
  if (Result.isFailure(dial)) return Result.fail(notDialable(dial.failure))
  return Result.mapBoth(Stack.upgrade(stack, address, "outbound"), {
    onSuccess: (upgrade) => {
      const connect = dial.success({ permits, authenticates: Stack.authenticates(stack) })
      return { address, stack, connect, upgrade }
    },
    onFailure: ({ detail, why }) => (why === "insecure" ? new Insecure({ detail }) : notDialable(detail))
  })
}

/** The candidates of these addresses, in their order. */
const of = (addresses: ReadonlyArray<Address>, candidates: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> =>
  addresses.flatMap((chosen) => candidates.filter(({ address }) => address === chosen).slice(0, 1))

/** The candidates that are tried, in order. */
const choose = (plan: DialPlan, candidates: ReadonlyArray<Candidate>): ReadonlyArray<Candidate> => {
  if (plan === "inOrder") return candidates
  if (plan === "firstUnderstood") return candidates.slice(0, 1)
  if (plan === "race") return candidates.toSorted((a, b) => a.stack.transport.cost - b.stack.transport.cost)
  return of(plan(candidates.map(({ address }) => address)), candidates)
}

// -----------------------------------------------------------------------------
// attempt
// -----------------------------------------------------------------------------

/** The deadline of one attempt, which is another in each phase: one fiber watches them all. */
class Deadline {
  private phase: DialTimedOut["phase"] = "connect"
  private millis: number
  private since: number
  private readonly handshake: number

  constructor(connect: Duration.Duration, handshake: Duration.Duration, now: number) {
    this.millis = Duration.toMillis(connect)
    this.handshake = Duration.toMillis(handshake)
    this.since = now
  }

  /** Until the handshakes begin, no time counts. */
  connected(): void {
    this.millis = Number.POSITIVE_INFINITY
  }

  handshaking(now: number): void {
    this.phase = "handshake"
    this.millis = this.handshake
    this.since = now
  }

  /** Fails when the time is over. It looks at least once in the time of a handshake, so it can't oversleep one. */
  readonly passed: Effect.Effect<never, DialTimedOut> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const left = this.since + this.millis - now
    return left > 0
      ? Effect.flatMap(Effect.sleep(Math.min(left, this.handshake)), () => this.passed)
      : Effect.fail(new DialTimedOut({ phase: this.phase, millis: this.millis }))
  })
}

type Handshake = Effect.Effect<Connection.Connection, AttemptReason, Scope.Scope>

/** One address, in a scope of its own. `turn` is around the handshakes: those who race take turns at them. */
const attempt = (
  { admission, emit, limits }: Environment,
  { connect, stack, upgrade }: Candidate,
  failed: ReadonlyArray<Attempt>,
  turn: (handshake: Handshake) => Handshake = (handshake) => handshake
) =>
  Clock.clockWith((clock) => {
    const started = clock.currentTimeMillisUnsafe()
    const deadline = new Deadline(stack.transport.connectTimeout, limits.handshake, started)
    let connectMillis = 0
    const { begin, left } = admission.dial()
    const counted = Effect.suspend(() => {
      begin()
      return connect
    })
    const open = Effect.flatMap(counted, (transport) => {
      connectMillis = clock.currentTimeMillisUnsafe() - started
      deadline.connected()
      return turn(
        Effect.suspend(() => {
          deadline.handshaking(clock.currentTimeMillisUnsafe())
          return upgrade(transport)
        })
      )
    })
    return inOwnScope(
      observed(
        { emit, idle: limits.idle, role: "dial", stack: stack.name, failed, connectMillis: () => connectMillis, left },
        Effect.raceFirst(open, deadline.passed)
      ),
      left
    )
  })

/** Says that another address takes the place of one that has failed. */
const fallback = (
  { emit }: Environment,
  { address, stack }: Candidate,
  next: Candidate | undefined,
  { _tag: tag }: AttemptReason
): Effect.Effect<void> =>
  next === undefined
    ? Effect.void
    : emit({ event: "fallback", from: stack.name, to: next.stack.name, address: format(address), tag })

/** One after another, until one succeeds. */
const inOrder = (
  environment: Environment,
  candidates: ReadonlyArray<Candidate>,
  failed: Array<Attempt>
): Effect.Effect<Connection.Connection | undefined, never, Scope.Scope> =>
  Effect.gen(function* () {
    for (const [i, candidate] of candidates.entries()) {
      const outcome = yield* Effect.result(attempt(environment, candidate, failed))
      if (Result.isSuccess(outcome)) return outcome.success.value
      failed.push({ address: format(candidate.address), reason: outcome.failure })
      yield* fallback(environment, candidate, candidates[i + 1], outcome.failure)
    }
    return undefined
  })

/** How long after one attempt the next begins, when they race: what browsers wait between two families. */
const stagger = "250 millis"
/** How long one handshake keeps the others waiting. */
const handshakeTurn = "1 second"

/** All at once, staggered; the first that succeeds interrupts the others, of which nothing is left. */
const race = (
  environment: Environment,
  candidates: ReadonlyArray<Candidate>,
  failed: Array<Attempt>
): Effect.Effect<Connection.Connection | undefined, never, Scope.Scope> =>
  Effect.suspend(() => {
    const turn = takeTurns(candidates.length)
    const gates = candidates.map(() => Latch.makeUnsafe(false))
    gates[0]?.openUnsafe()
    let begun = 0
    const won: Array<Scope.Closeable> = []
    const racers = candidates.map((candidate, i) => {
      const next = Effect.sync(() => gates[i + 1]?.openUnsafe())
      return Effect.gen(function* () {
        yield* (gates[i] as Latch.Latch).await
        begun = i
        yield* Effect.forkChild(Effect.delay(next, stagger))
        const own = yield* attempt(environment, candidate, failed, turn(hasSecret(candidate.address)))
        won.push(own.scope)
        return own
      }).pipe(
        Effect.tapError((reason) =>
          Effect.suspend(() => {
            failed.push({ address: format(candidate.address), reason })
            // One that has begun already does not take its place.
            return Effect.andThen(
              fallback(environment, candidate, begun === i ? candidates[i + 1] : undefined, reason),
              next
            )
          })
        )
      )
    })
    return Effect.raceAll(racers).pipe(
      Effect.tap(({ scope }) =>
        Effect.forEach(
          won.filter((other) => other !== scope),
          (other) => Scope.close(other, Exit.interrupt())
        )
      ),
      Effect.map(({ value }) => value),
      Effect.catch(() => Effect.undefined)
    )
  })

/**
 * Turns at the handshake. One begins when the one before it has failed or had a second; one with a seed has it all alone, because
 * a loser's handshake could spend an invite.
 */
const takeTurns = (everybody: number) => {
  const turns = Semaphore.makeUnsafe(1)
  const handshaking = Semaphore.makeUnsafe(everybody)
  return (alone: boolean) =>
    (handshake: Handshake): Handshake =>
      Effect.suspend(() => {
        const mine = Latch.makeUnsafe(false)
        const over = Latch.makeUnsafe(false)
        const until = alone ? over.await : Effect.timeoutOption(over.await, handshakeTurn)
        return Effect.gen(function* () {
          yield* Effect.forkChild(turns.withPermits(1)(Effect.andThen(mine.open, until)), { startImmediately: true })
          yield* mine.await
          return yield* handshaking.withPermits(alone ? everybody : 1)(handshake)
        }).pipe(Effect.ensuring(over.open))
      })
}

// -----------------------------------------------------------------------------
// dial
// -----------------------------------------------------------------------------

/** The error of a dial: the reason of the one address that was tried, or the reasons of all. */
const dialError = (
  addresses: MultiAddress,
  failed: ReadonlyArray<Attempt>,
  tried: ReadonlyArray<Candidate>
): DialError => {
  const [only] =
    tried.length === 1 ? failed.filter(({ address }) => tried.some((each) => format(each.address) === address)) : failed
  return only !== undefined && (tried.length === 1 || failed.length === 1)
    ? new DialError(only)
    : new DialError({ address: format(addresses), reason: new AllFailed({ attempts: failed }) })
}

/** The one address that is tried: nothing is left of it when it fails. */
const only = (
  environment: Environment,
  candidate: Candidate,
  failed: Array<Attempt>
): Effect.Effect<Connection.Connection | undefined, never, Scope.Scope> =>
  attempt(environment, candidate, failed).pipe(
    Effect.map(({ value }) => value),
    Effect.catch((reason) => {
      failed.push({ address: format(candidate.address), reason })
      return Effect.undefined
    })
  )

/** Several: what is left of those that did not win goes with the scope that all of them are in. */
const several = (
  environment: Environment,
  plan: DialPlan,
  tried: ReadonlyArray<Candidate>,
  failed: Array<Attempt>
): Effect.Effect<Connection.Connection | undefined, never, Scope.Scope> =>
  (plan === "race" ? race : inOrder)(environment, tried, failed).pipe(
    inOwnScope,
    Effect.map(({ value }) => value)
  )

/** Dials addresses of one peer. */
export const dial = (
  environment: Environment,
  addresses: MultiAddress,
  { plan = "inOrder" }: DialOptions = {}
): Effect.Effect<Connection.Connection, DialError, Scope.Scope> =>
  Effect.flatMap(Clock.currentTimeMillis, (started) => {
    const failed: Array<Attempt> = []
    const understood: Array<Candidate> = []
    for (const address of addresses) {
      const candidate = consider(environment, address)
      if (Result.isSuccess(candidate)) understood.push(candidate.success)
      else failed.push({ address: format(address), reason: candidate.failure })
    }
    const { order } = environment.policy
    const tried = choose(
      plan,
      order === allowAll.order ? understood : of(order(understood.map(({ address }) => address)), understood)
    )
    const [first] = tried
    const open =
      first !== undefined && tried.length === 1
        ? only(environment, first, failed)
        : several(environment, plan, tried, failed)
    return Effect.flatMap(open, (connection) => {
      if (connection !== undefined) return Effect.succeed(connection)
      const error = dialError(addresses, failed, tried)
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.andThen(environment.emit({ event: "dial-failed", error, millis: now - started }), Effect.fail(error))
      )
    })
  })
