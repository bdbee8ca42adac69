/** Time that only goes forward, whatever somebody sets the clock of the machine to. For deadlines and durations. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Milliseconds since some moment that stays the same. */
export const monotonicMillis = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

export const monotonicNow: Effect.Effect<number> = Clock.clockWith((clock) => Effect.succeed(monotonicMillis(clock)))
