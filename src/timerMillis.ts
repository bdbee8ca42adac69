/** Durations for Node's timers: whole milliseconds, 24.8 days at most. A timer with a longer delay fires at once. */
import * as Duration from "effect/Duration"

export const maxTimerMillis = 2 ** 31 - 1

/** Rounds up, and cuts at the maximum. `undefined` for `Infinity`, which needs no timer. */
export const timerMillis = (duration: Duration.Input): number | undefined => {
  const millis = Duration.toMillis(duration)
  return millis === Number.POSITIVE_INFINITY ? undefined : Math.min(Math.ceil(millis), maxTimerMillis)
}
