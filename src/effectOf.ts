/**
 * Checks what other people's code returns where an effect is expected. Code without types, or an `async` function by
 * mistake, may return anything. Effect ends a fiber that is given something else without its finalizers, and nothing
 * would be released or logged.
 */
import * as Effect from "effect/Effect"

/** The effect; a defect that names `what`, if it is none. */
export const effectOf = <A, E, R>(what: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.isEffect(effect) ? effect : Effect.die(new TypeError(`${what} returned no Effect`))
