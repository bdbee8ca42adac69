/** Monotonic time, for deadlines and durations: setting the machine's clock does not change it. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds since a fixed, unknown moment. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

export const monotonicNow: Effect.Effect<number> = Clock.clockWith((clock) => Effect.succeed(monotonicMillis(clock)))
