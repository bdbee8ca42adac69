/** What signals ask of a command. The first one lets it finish, and the second one ends it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

export const numbers = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const

/**
 * Succeeds with the number of the first signal. A command that waits for this ends in its own way. Any other command is
 * interrupted.
 */
export const Signals = Context.Reference<Effect.Effect<number>>("effect-multiserver/cli/Signals", {
  defaultValue: () => Effect.never
})

/**
 * Until the scope closes, a SIGHUP calls `reload` instead of asking the command to stop: for a command that can read
 * its files again.
 */
export const OnHangup = Context.Reference<(reload: () => void) => Effect.Effect<void, never, Scope.Scope>>(
  "effect-multiserver/cli/OnHangup",
  { defaultValue: () => () => Effect.void }
)

/** Whether the signal tells a service to stop, so that stopping is a success. SIGINT is a person who breaks off. */
export const asksToStop = (signal: number): boolean => signal !== numbers.SIGINT

/** Passes signals from the process on to `Signals` and `OnHangup`. */
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

  /** Passes a SIGHUP on to the command's `reload`. `false`: it has none, so the SIGHUP asks it to stop. */
  reloads(): boolean {
    this.reload?.()
    return this.reload !== undefined
  }

  /** Passes a signal on to the effects that wait for `signal`. `false`: there are none. */
  tell(signal: number): boolean {
    const { size } = this.waiting
    for (const told of this.waiting) told(signal)
    this.waiting.clear()
    return size > 0
  }
}
