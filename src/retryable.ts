/** Whether trying again can help, asked of any error. */
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"

/** Errors hold errors, which hold errors: no honest one goes deeper. */
const deepest = 8

const asked = (error: unknown, depth: number): boolean => {
  if (Cause.isTimeoutError(error)) return true
  if (!Predicate.isObject(error) || depth > deepest) return false
  if ("isRetryable" in error) return error.isRetryable === true
  if ("reason" in error) return asked(error.reason, depth + 1)
  return "cause" in error && asked(error.cause, depth + 1)
}

/**
 * Whether trying again can help, for any error of a program: what an error of this package says of itself, also where
 * another error has it as its `reason` or `cause`, as the errors of Effect's sockets do. A `TimeoutError` of
 * `Effect.timeout` is retryable, and every other error is not.
 *
 * @example Effect.retry({ while: Multiserver.isRetryable, schedule: Schedule.exponential("1 second") })
 */
export const isRetryable = (error: unknown): boolean => asked(error, 0)
