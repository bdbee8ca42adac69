/** The idle timeout. */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Connection from "../Connection.ts"

/** How often it is looked: a connection is ended by this part of the time late at most, and nothing is done for each byte. */
const looks = 8

const carried = (connection: Connection.Connection): number => {
  const account = Connection.account(connection)
  return account === undefined ? 0 : account.bytesRead + account.bytesWritten
}

/** Fails the connection with `TimedOut` when nothing is read or written for as long, until the scope closes. */
export const endWhenIdle = (
  connection: Connection.Connection,
  idle: Duration.Duration
): Effect.Effect<void, never, Scope.Scope> => {
  const interval = Duration.toMillis(idle) / looks
  const watch = (before: number, quiet: number): Effect.Effect<void> =>
    Effect.flatMap(Effect.sleep(interval), () => {
      const now = carried(connection)
      if (now !== before) return watch(now, 0)
      if (quiet + 1 < looks) return watch(now, quiet + 1)
      Connection.expire(connection)
      return Effect.void
    })
  return Effect.asVoid(Effect.forkScoped(Effect.suspend(() => watch(carried(connection), 0))))
}
