import * as Effect from "effect/Effect"

/** Other work of a fiber, one operation after another. */
export const work = (operations: number): Effect.Effect<void> =>
  Effect.suspend(() => {
    let left = operations
    return Effect.whileLoop({ while: () => left-- > 0, body: () => Effect.void, step: () => {} })
  })
