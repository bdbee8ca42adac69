/** The time of day, as records have it. Setting the machine's clock changes it: deadlines use `monotonic.ts`. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"

/** Whole seconds since 1970. */
export const nowSeconds: Effect.Effect<number> = Effect.map(Clock.currentTimeMillis, (millis) =>
  Math.floor(millis / 1000)
)
