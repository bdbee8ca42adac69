/** Signals as what they ask for: the first one lets a command finish, and the second one ends it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * Succeeds with the number of the first signal. Whoever waits for it when it comes ends the command in its own way;
 * otherwise the command is interrupted.
 */
export const Signals = Context.Reference<Effect.Effect<number>>("effect-multiserver/cli/Signals", {
  defaultValue: () => Effect.never
})

/**
 * As long as the scope, a SIGHUP calls this back, and asks nobody to stop: for a command that has something to read
 * again.
 */
export const OnHangup = Context.Reference<(reload: () => void) => Effect.Effect<void, never, Scope.Scope>>(
  "effect-multiserver/cli/OnHangup",
  { defaultValue: () => () => Effect.void }
)

/** Whether it is how a service is told to stop, so that to stop is no failure. SIGINT is a person who breaks off. */
export const asksToStop = (signal: number): boolean => signal !== numbers.SIGINT

/** Tells those who wait. */
export class Told {
  private readonly waiting = new Set<(signal: number) => void>()

  readonly signal: Effect.Effect<number> = Effect.callback<number>((resume) => {
    const told = (signal: number) => resume(Effect.succeed(signal))
    this.waiting.add(told)
    return Effect.sync(() => void this.waiting.delete(told))
  })

  private reload: (() => void) | undefined

  readonly onHangup = (reload: () => void): Effect.Effect<void, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        this.reload = reload
      }),
      () =>
        Effect.sync(() => {
          this.reload = undefined
        })
    )

  /** Whether a SIGHUP was for somebody who reads something again. */
  reloads(): boolean {
    this.reload?.()
    return this.reload !== undefined
  }

  /** Whether anybody waited for it. */
  tell(signal: number): boolean {
    const { size } = this.waiting
    for (const told of this.waiting) told(signal)
    this.waiting.clear()
    return size > 0
  }
}
