/** Whether trying again can help, asked of any error. */
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"
import * as Result from "effect/Result"

/** How many errors deep to look, in case errors hold each other in a cycle. No real error is this deep. */
const deepest = 8

const asked = (error: unknown, depth: number): boolean => {
  if (Cause.isTimeoutError(error)) return true
  if (!Predicate.isObject(error) || depth > deepest) return false
  if ("isRetryable" in error) return error.isRetryable === true
  if ("reason" in error && asked(error.reason, depth + 1)) return true
  if ("cause" in error && asked(error.cause, depth + 1)) return true
  return error instanceof AggregateError && error.errors.some((each) => asked(each, depth + 1))
}

/**
 * Whether trying again can help, for any error of a program. An error of this package says so itself, also when it is
 * the `reason` or `cause` of another error, as in the errors of Effect's sockets, or one of an `AggregateError`. A
 * `TimeoutError` of `Effect.timeout` is retryable. Every other error is not, nor is one that throws when it is asked.
 *
 * @example
 * ```ts
 * import { Effect, Schedule } from "effect"
 * import { Memory, Multiserver } from "effect-multiserver"
 *
 * const program = Multiserver.dial("memory:peer").pipe(
 *   Effect.timeout("10 seconds"),
 *   Effect.retry({ while: Multiserver.isRetryable, schedule: Schedule.spaced("10 millis"), times: 3 }),
 *   Effect.catchReason("DialError", "Refused", () => Effect.succeed("nobody listens there")),
 *   Effect.scoped
 * )
 * const speaks = Effect.provide(Multiserver.layer(["memory"]))
 * const outcome = await Effect.runPromise(program.pipe(speaks, Effect.provide(Memory.layer())))
 * console.log(outcome) // nobody listens there
 * ```
 *
 * @category predicates
 * @since 0.1.0
 */
export const isRetryable = (error: unknown): boolean =>
  Result.getOrElse(
    Result.try(() => asked(error, 0)),
    () => false
  )
