/**
 * How a listener stops. It refuses newcomers, ends unfinished handshakes and tells handlers to finish. Handlers have
 * the grace time. What is left after that is ended.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type { Connection } from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { LimitValues } from "../Limits.ts"
import type { Leaving } from "../Link.ts"
import type { Roster } from "./roster.ts"

/** Stops the listener, then waits for the fibers of all connections, at most the grace time. */
export const drain = (roster: Roster, fibers: FiberSet.FiberSet, { grace }: LimitValues): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sync(() => stop(roster)),
    Effect.timeoutOrElse(FiberSet.awaitEmpty(fibers), {
      duration: grace,
      orElse: () => Effect.sync(() => giveUp(roster))
    })
  )

/** Ends the newcomers whose handler has not begun, and tells the other connections to finish. */
const stop = (roster: Roster): void => {
  roster.stopping = true
  for (const arrival of roster.arriving) arrival.end("Draining")
  for (const leaving of roster.served) leaving.drain()
  roster.draining.openUnsafe()
}

/**
 * The grace time is over. A connection whose peer does not read ends with `TimedOut`, so its event does not blame the
 * handler. The others are destroyed here too, because a handler that can't be interrupted would keep its connection as
 * long as it likes.
 */
const giveUp = ({ served }: Roster): void => {
  for (const leaving of served) {
    if (leaving.stalled) leaving.expire("stopping")
    else leaving.destroy()
  }
}

/** The part of the grace time that is kept for what comes after a goodbye, in milliseconds. */
const reserved = 60

/**
 * Says goodbye to a peer while the listener stops, and reads on until the peer's goodbye. A socket that is closed over
 * unread bytes resets the connection, and the peer loses what it has yet to read.
 */
export const sayGoodbye = (
  connection: Connection,
  leaving: Leaving,
  { close, grace }: LimitValues
): Effect.Effect<void, ConnectionError> => {
  const silence = Duration.toMillis(close)
  return Effect.andThen(
    connection.end,
    leaving.readOn({ first: silence, more: silence, altogether: Duration.toMillis(grace) - reserved })
  )
}
