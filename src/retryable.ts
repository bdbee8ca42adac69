/** Whether trying again can help, asked of any error. */
import * as Cause from "effect/Cause"
import * as Predicate from "effect/Predicate"

/** How many errors deep to look, in case errors hold each other in a cycle. No real error is this deep. */
const deepest = 8

const asked = (error: unknown, depth: number): boolean => {
  if (Cause.isTimeoutError(error)) return true
  if (!Predicate.isObject(error) || depth > deepest) return false
  if ("isRetryable" in error) return error.isRetryable === true
  if ("reason" in error) return asked(error.reason, depth + 1)
  return "cause" in error && asked(error.cause, depth + 1)
}

/**
 * Whether trying again can help, for any error of a program. An error of this package says so itself, also when it is
 * the `reason` or `cause` of another error, as in the errors of Effect's sockets. A `TimeoutError` of `Effect.timeout`
 * is retryable. Every other error is not.
 *
 * @example Effect.retry({ while: Multiserver.isRetryable, schedule: Schedule.exponential("1 second") })
 *
 * @category guards
 * @since 0.1.0
 */
export const isRetryable = (error: unknown): boolean => asked(error, 0)
