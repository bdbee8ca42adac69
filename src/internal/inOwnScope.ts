import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs in a scope of its own within the caller's, closed at once when it fails or is interrupted: nothing is left of it. `failed` is told
 * then.
 */
export const inOwnScope = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  failed?: () => void
): Effect.Effect<{ readonly value: A; readonly scope: Scope.Closeable }, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const scope = Scope.forkUnsafe(Context.get(context, Scope.Scope))
    const own = Effect.map(Scope.provide(effect, scope), (value) => ({ value, scope }))
    return Effect.onExitPrimitive(own, (exit) => {
      if (Exit.isSuccess(exit)) return undefined
      failed?.()
      return Scope.closeUnsafe(scope, exit)
    })
  })
