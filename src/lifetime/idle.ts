/** The idle timeout. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Connection from "../Connection.ts"

/**
 * How many times a connection is looked at within its idle time. It is ended at most this part of the time late, and
 * reading or writing costs nothing more.
 */
const looks = 8

const bytesCarried = (connection: Connection.Connection): number => {
  const account = Connection.account(connection)
  return account === undefined ? 0 : account.bytesRead + account.bytesWritten
}

/** Until the scope closes: fails the connection with `TimedOut` when nothing was read or written for that long. */
export const endWhenIdle = (
  connection: Connection.Connection,
  idle: Duration.Duration
): Effect.Effect<void, never, Scope.Scope> => {
  const interval = Duration.toMillis(idle) / looks
  const watch = (before: number, quietLooks: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.sleep(interval), () => {
      const now = bytesCarried(connection)
      if (now !== before) return watch(now, 0)
      if (quietLooks + 1 < looks) return watch(now, quietLooks + 1)
      Connection.expire(connection)
      return Effect.void
    })
  return Effect.asVoid(Effect.forkScoped(Effect.suspend(() => watch(bytesCarried(connection), 0))))
}
