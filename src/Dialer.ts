/**
 * Dialing: from addresses to a connection.
 *
 * `dial/plan` says which addresses can be tried, and in what order. `dial/attempt` tries one of them: the transport's
 * dial, then each transform, in a scope and with deadlines of its own. `dial/race` tries several at once. The first
 * attempt that succeeds is the connection. Nothing is left of an attempt that failed or was interrupted.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format, type MultiAddress } from "./Address.ts"
import type * as Connection from "./Connection.ts"
import { AllFailed, type Attempt, DialError } from "./DialError.ts"
import { attempt, fallback } from "./dial/attempt.ts"
import { type Candidate, type DialPlan, plan } from "./dial/plan.ts"
import { race } from "./dial/race.ts"
import type { Environment } from "./Environment.ts"
import { inOwnScope } from "./inOwnScope.ts"

export type { DialPlan } from "./dial/plan.ts"

export interface DialOptions {
  /** By default `inOrder`. */
  readonly plan?: DialPlan
}

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

/** The only one that is tried. */
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
  dialPlan: DialPlan,
  tried: ReadonlyArray<Candidate>,
  failed: Array<Attempt>
): Effect.Effect<Connection.Connection | undefined, never, Scope.Scope> =>
  (dialPlan === "race" ? race : inOrder)(environment, tried, failed).pipe(
    inOwnScope,
    Effect.map(({ value }) => value)
  )

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

/** Dials addresses of one peer. */
export const dial = (
  environment: Environment,
  addresses: MultiAddress,
  { plan: dialPlan = "inOrder" }: DialOptions = {}
): Effect.Effect<Connection.Connection, DialError, Scope.Scope> =>
  Effect.flatMap(Clock.currentTimeMillis, (started) => {
    const planned = plan(environment, addresses, dialPlan)
    const tried = planned.candidates
    const failed = [...planned.failed]
    const [first] = tried
    const open =
      first !== undefined && tried.length === 1
        ? only(environment, first, failed)
        : several(environment, dialPlan, tried, failed)
    return Effect.flatMap(open, (connection) => {
      if (connection !== undefined) return Effect.succeed(connection)
      const error = dialError(addresses, failed, tried)
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Effect.andThen(environment.emit({ event: "dial-failed", error, millis: now - started }), Effect.fail(error))
      )
    })
  })
