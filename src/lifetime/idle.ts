/** The idle timeout. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Leaving } from "../Link.ts"

/**
 * How many times a connection is looked at within its idle time. It is ended late by an eighth of that time at most. In
 * return, reads and writes have nothing to record.
 */
const looks = 8

const bytesCarried = (leaving: Leaving): number => {
  const { bytesRead, bytesWritten } = leaving.account()
  return bytesRead + bytesWritten
}

/** Fails the connection with `TimedOut` when it carried nothing for the `idle` time. Watches until the scope closes. */
export const endWhenIdle = (leaving: Leaving, idle: Duration.Duration): Effect.Effect<void, never, Scope.Scope> => {
  const interval = Duration.toMillis(idle) / looks
  const watch = (before: number, quietLooks: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.sleep(interval), () => {
      const now = bytesCarried(leaving)
      if (now !== before) return watch(now, 0)
      if (quietLooks + 1 < looks) return watch(now, quietLooks + 1)
      leaving.expire("idle")
      return Effect.void
    })
  return Effect.asVoid(Effect.forkScoped(Effect.suspend(() => watch(bytesCarried(leaving), 0))))
}
