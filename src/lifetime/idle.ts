/** The idle timeout. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Leaving } from "../Link.ts"

/**
 * How many times a connection is looked at within its idle time. It is ended at most this part of the time late, and
 * reading or writing costs nothing more.
 */
const looks = 8

const bytesCarried = (leaving: Leaving): number => {
  const { bytesRead, bytesWritten } = leaving.account()
  return bytesRead + bytesWritten
}

/** Until the scope closes: fails the connection with `TimedOut` when nothing was read or written for that long. */
export const endWhenIdle = (leaving: Leaving, idle: Duration.Duration): Effect.Effect<void, never, Scope.Scope> => {
  const interval = Duration.toMillis(idle) / looks
  const watch = (before: number, quietLooks: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.sleep(interval), () => {
      const now = bytesCarried(leaving)
      if (now !== before) return watch(now, 0)
      if (quietLooks + 1 < looks) return watch(now, quietLooks + 1)
      leaving.expire()
      return Effect.void
    })
  return Effect.asVoid(Effect.forkScoped(Effect.suspend(() => watch(bytesCarried(leaving), 0))))
}
