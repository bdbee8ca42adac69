/**
 * Dialing: from addresses to a connection.
 *
 * `dial/plan` says which addresses can be tried, and in what order. `dial/attempt` tries one of them: the transport's
 * dial, then each transform, in a scope and with deadlines of its own. `dial/race` tries several at once. The first
 * attempt that succeeds is the connection. Nothing is left of an attempt that failed or was interrupted.
 */
import * as Arr from "effect/Array"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import { AllFailed, type Attempt, type AttemptReason, DialError, DialTimedOut } from "./DialError.ts"
import { attempt } from "./dial/attempt.ts"
import { type Candidate, type DialPlan, planDial, type Timeouts } from "./dial/plan.ts"
import { race } from "./dial/race.ts"
import type { Environment } from "./Environment.ts"
import type { Tried } from "./Events.ts"
import { guardedPolicy, tellEach } from "./guarded.ts"
import type { PublicKey } from "./Identity.ts"
import { inOwnScope } from "./inOwnScope.ts"
import { monotonicNow } from "./monotonic.ts"
import { allowAll, type DialRules } from "./Policy.ts"

export type { DialPlan, Timeouts } from "./dial/plan.ts"

/**
 * What `Multiserver.dial` takes besides the addresses.
 *
 * @category options
 * @since 0.1.0
 */
export interface DialOptions {
  /** By default `inOrder`. */
  readonly plan?: DialPlan
  /** How long each step of an attempt may take. `Timeouts` has the defaults. */
  readonly timeouts?: Timeouts
  /** How long all attempts together may take. Then it fails with `TimedOut`, phase `dial`. By default unlimited. */
  readonly timeout?: Duration.Input
  /** The key of the peer. Addresses whose stack does not have the peer prove this key are not tried. */
  readonly peer?: PublicKey
  /** Rules for this dial, beside those of `Policy`: an address or IP is dialed when both allow it. */
  readonly policy?: DialRules
  /** Called with each address that had failed before another one succeeded. What it throws is logged. */
  readonly onFailed?: (attempt: Attempt) => void
}

/** The environment with further rules for one dial. */
const withRules = (environment: Environment, rules: DialRules): Environment => {
  const { policy, report } = environment
  const more = guardedPolicy({ ...allowAll, ...rules }, report)
  return {
    ...environment,
    policy: {
      ...policy,
      mayDial: (address, to) => policy.mayDial(address, to) && more.mayDial(address, to),
      mayDialIp: (ip, address) => policy.mayDialIp(ip, address) && more.mayDialIp(ip, address)
    }
  }
}

/** Tries one candidate after another until one succeeds. Each that fails adds itself to `failed`. */
const inOrder = (
  environment: Environment,
  [candidate, ...rest]: Arr.NonEmptyReadonlyArray<Candidate>,
  failed: Array<Tried>
): Effect.Effect<Connection.Connection, AttemptReason, Scope.Scope> => {
  const tried = attempt(environment, candidate, failed, () => rest[0])
  if (!Arr.isArrayNonEmpty(rest)) return tried
  const others = inOrder(environment, rest, failed)
  return tried.pipe(
    // As in a race, code of one address that throws takes no other address away. If all others fail, the dial dies.
    Effect.catchDefect((defect) => Effect.catch(others, () => Effect.die(defect))),
    // This comes second: were it first, a defect of the others would have them tried once more.
    Effect.catch(() => others)
  )
}

/** The error of a dial: the reason of the one address that was tried, or the reasons of all addresses. */
const dialError = (
  addresses: MultiAddress,
  notTried: ReadonlyArray<Attempt>,
  tried: ReadonlyArray<Attempt>
): DialError => {
  const attempts = [...notTried, ...tried]
  const [only] = tried.length === 1 ? tried : attempts
  return only !== undefined && (tried.length === 1 || attempts.length === 1)
    ? new DialError(only)
    : new DialError({ address: format(addresses), reason: new AllFailed({ attempts }) })
}

/** The time for all attempts has passed: so many milliseconds. */
type TimeIsUp = number

/**
 * Fails when the time has passed. A connection that was opened at that very moment is closed: its caller never gets it.
 */
const within = <E>(
  timeout: Duration.Input,
  tried: Effect.Effect<Connection.Connection, E, Scope.Scope>
): Effect.Effect<Connection.Connection, E | TimeIsUp, Scope.Scope> => {
  const millis = Math.max(0, Duration.toMillis(timeout))
  const orElse = () => Effect.fail(millis)
  return Effect.map(inOwnScope(Effect.timeoutOrElse(tried, { duration: millis, orElse })), ({ value }) => value)
}

/** Says of the addresses that had failed by then why. */
const timedOut = (millis: TimeIsUp, failed: ReadonlyArray<Attempt>): DialTimedOut => {
  const before = failed.map(({ address, reason }) => ({ address, tag: reason._tag, message: reason.message }))
  return new DialTimedOut({ phase: "dial", millis, ...(before.length > 0 && { before }) })
}

/** Dials addresses of one peer. */
export const dial = (
  environment: Environment,
  addresses: MultiAddress,
  { onFailed, peer, plan: dialPlan = "inOrder", policy, timeout, timeouts = {} }: DialOptions = {}
): Effect.Effect<Connection.Connection, DialError, Scope.Scope> =>
  Effect.flatMap(monotonicNow, (started) => {
    const ruled = policy === undefined ? environment : withRules(environment, policy)
    const { candidates, notTried } = planDial(ruled, addresses, { plan: dialPlan, timeouts, peer })
    const failed: Array<Tried> = [...notTried]
    const errorOf = (reason?: AttemptReason | TimeIsUp): DialError =>
      typeof reason === "number"
        ? new DialError({ address: format(addresses), reason: timedOut(reason, failed) })
        : dialError(addresses, notTried, failed.slice(notTried.length))
    const fail = (reason?: AttemptReason | TimeIsUp) =>
      Effect.flatMap(monotonicNow, (now) => {
        const error = errorOf(reason)
        const event = { _tag: "DialFailed", error, millis: Math.round(now - started), failed } as const
        return Effect.andThen(environment.emit(event), Effect.fail(error))
      })
    if (!Arr.isReadonlyArrayNonEmpty(candidates)) return fail()
    const tryThem = dialPlan === "race" && candidates.length > 1 ? race : inOrder
    const found = tryThem(environment, candidates, failed)
    const tell = () => tellEach("onFailed", onFailed, failed.slice(notTried.length))
    const tried = onFailed === undefined ? found : Effect.tap(found, tell)
    // Outside of the time: a sink of events that is slow makes no timeout of another failure.
    return Effect.catch(timeout === undefined ? tried : within(timeout, tried), fail)
  }).pipe(
    environment.spanned({
      name: "Multiserver.dial",
      kind: "client",
      attributes: () => ({ "multiserver.addresses": format(addresses) })
    })
  )
