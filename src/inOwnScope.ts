/** A child of the caller's scope, of which nothing is left in the caller's when what runs in it fails. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs an effect in a child of the caller's scope. When the effect fails or is interrupted, the child is closed at
 * once. When it succeeds, the child stays open as long as the caller's scope, or until somebody closes it. `onFailure`
 * runs before it is closed.
 */
export const inOwnScope = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  onFailure?: () => void
): Effect.Effect<{ readonly value: A; readonly scope: Scope.Closeable }, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    let scope: Scope.Closeable | undefined
    // Forked once the exit is watched, so that no interruption comes between the two.
    const own = Effect.suspend(() => {
      const child = Scope.forkUnsafe(Context.get(context, Scope.Scope))
      scope = child
      return Effect.map(Scope.provide(effect, child), (value) => ({ value, scope: child }))
    })
    return Effect.onExitPrimitive(own, (exit) => {
      if (Exit.isSuccess(exit)) return undefined
      onFailure?.()
      return scope && Scope.closeUnsafe(scope, exit)
    })
  })
