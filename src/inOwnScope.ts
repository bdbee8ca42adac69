/**
 * Runs an effect in a child of the caller's scope. When the effect fails, nothing of it is left in the caller's scope.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"

/**
 * Runs an effect in a child of the caller's scope. When the effect fails or is interrupted, `onFailure` runs, and then
 * the child is closed at once. When the effect succeeds, the child stays open as long as the caller's scope, or until
 * somebody closes it.
 */
export const inOwnScope = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  onFailure?: () => void
): Effect.Effect<{ readonly value: A; readonly scope: Scope.Closeable }, E, Exclude<R, Scope.Scope> | Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    let scope: Scope.Closeable | undefined
    // The child is made inside the effect whose exit is watched, so that no interruption can come between the two.
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
