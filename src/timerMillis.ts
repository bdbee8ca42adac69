/** Durations as Node's timers hold them: whole milliseconds, 24.8 days at most. A longer timer would fire at once. */
import * as Duration from "effect/Duration"

export const maxTimerMillis = 2 ** 31 - 1

/** Rounded up. `undefined` for a duration without an end, which needs no timer. */
export const timerMillis = (duration: Duration.Input): number | undefined => {
  const millis = Duration.toMillis(duration)
  return millis === Number.POSITIVE_INFINITY ? undefined : Math.min(Math.ceil(millis), maxTimerMillis)
}
