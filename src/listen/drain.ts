/**
 * How a listener stops. There are no newcomers, unfinished handshakes are ended, and handlers are told. They have the
 * grace time; what is left after it is ended.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import type { Connection } from "../Connection.ts"
import type { ConnectionError } from "../ConnectionError.ts"
import type { LimitValues } from "../Limits.ts"
import type { Leaving } from "../Link.ts"
import type { Roster } from "./roster.ts"

/** Stops, and waits at most the grace time for the fibers of all connections. */
export const drain = (roster: Roster, fibers: FiberSet.FiberSet, { grace }: LimitValues): Effect.Effect<void> =>
  Effect.andThen(
    Effect.sync(() => stop(roster)),
    Effect.timeoutOrElse(FiberSet.awaitEmpty(fibers), {
      duration: grace,
      orElse: () => Effect.sync(() => giveUp(roster))
    })
  )

/** Ends those whose handler has not begun, and tells the others to finish. */
const stop = (roster: Roster): void => {
  roster.stopping = true
  for (const arrival of roster.arriving) arrival.end("Draining")
  for (const leaving of roster.served) leaving.drain()
  roster.draining.openUnsafe()
}

/**
 * The grace time is over. Where the peer does not read, the connection's event says so, and does not blame the handler.
 * The others are destroyed here too: a handler that can't be interrupted would keep its connection as long as it likes.
 */
const giveUp = ({ served }: Roster): void => {
  for (const leaving of served) {
    if (leaving.stalled) leaving.expire()
    else leaving.destroy()
  }
}

/** The part of the grace time that is kept for what comes after a goodbye, in milliseconds. */
const reserved = 60

/**
 * Says goodbye to a peer while the listener stops, and reads on until the peer's goodbye. Closing a socket over unread
 * bytes would take with it what the peer has yet to read.
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
