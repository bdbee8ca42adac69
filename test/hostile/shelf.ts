/**
 * Where processes wait for the next attack. By default none does: each attack has its own. In the quick size most of an
 * attack is the start of its processes, so there each of them stands many attacks.
 */
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"

export interface Lent<A> {
  readonly value: A
  /** For who comes next. Only what is as it was when it was lent is given back. */
  readonly giveBack: Effect.Effect<void>
}

/** Lends what was given back under the same key, and makes it where nothing was. */
export type Lend<A> = (
  key: string,
  make: Effect.Effect<A, never, Scope.Scope>
) => Effect.Effect<Lent<A>, never, Scope.Scope>

/** Makes one for each who asks, as long as who asks. */
export const fresh =
  <A>(): Lend<A> =>
  (_, make) =>
    Effect.map(make, (value) => ({ value, giveBack: Effect.void }))

/** Makes them as long as the scope. */
export const shelf = <A>(scope: Scope.Scope): Lend<A> => {
  const waiting = new Map<string, Array<A>>()
  return (key, make) =>
    Effect.gen(function* () {
      const value = waiting.get(key)?.pop() ?? (yield* Scope.provide(make, scope))
      return { value, giveBack: Effect.sync(() => void waiting.set(key, [...(waiting.get(key) ?? []), value])) }
    })
}
