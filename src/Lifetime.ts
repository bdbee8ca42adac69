/**
 * A connection's life, the same for a dialer and a listener: the events of its beginning and its end, and the idle
 * timeout.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { format } from "./Address.ts"
import * as Connection from "./Connection.ts"
import type { Attempt } from "./DialError.ts"
import * as Events from "./Events.ts"
import { formatPublicKey } from "./Identity.ts"
import { endWhenIdle } from "./lifetime/idle.ts"

export interface Options {
  readonly emit: Events.Sink
  readonly role: "dial" | "listen"
  readonly stack: string
  /** Of a dial: the addresses that failed before this one. */
  readonly failed?: ReadonlyArray<Attempt>
  /** Of a newcomer: its IP, and the web page that it says it is. */
  readonly source?: string | undefined
  readonly origin?: string | undefined
  /** After how much silence the connection is ended. */
  readonly idle: Duration.Duration
  /** Of a dial: how long its transport took. Asked once the connection is open. */
  readonly connectMillis?: () => number
  /** Of a dial: runs when the connection has left. */
  readonly onLeft?: () => void
}

const peerText = (peer: Connection.Peer): string | undefined =>
  peer._tag === "Authenticated" ? formatPublicKey(peer.publicKey) : undefined

/** Opens a connection, emits `connected`, ends it when it is idle, and emits `closed` when its scope has closed. */
export const begin = <E, R>(
  { connectMillis, emit, failed = [], idle, onLeft, origin, role, source, stack }: Options,
  open: Effect.Effect<Connection.Connection, E, R>
): Effect.Effect<Connection.Connection, E, R | Scope.Scope> => {
  const made = Effect.flatMap(open, (connection) => Connection.withPort(connection, onLeft))
  const opened = Duration.isFinite(idle) ? Effect.tap(made, (own) => endWhenIdle(own, idle)) : made
  // Making an event costs more than opening a connection in memory, so none is made when nobody listens.
  if (emit === Events.nobody) return opened
  return Effect.gen(function* () {
    const started = yield* Clock.currentTimeMillis
    const fields = ({ peer, remote }: Connection.Connection) =>
      Effect.map(Clock.currentTimeMillis, (now) => ({
        role,
        stack,
        source,
        remote: format(remote),
        peer: peerText(peer),
        millis: now - started
      }))
    let connected: Connection.Connection | undefined
    // Registered before anything that opens, so it runs last: by then it is known how the connection ended.
    yield* Effect.addFinalizer(() => {
      const account = connected === undefined ? undefined : Connection.account(connected)
      if (connected === undefined || account === undefined) return Effect.void
      return Effect.flatMap(fields(connected), (common) =>
        emit({ event: "closed", phase: "open", ...common, ...account })
      )
    })
    const connection = yield* opened
    connected = connection
    yield* Effect.flatMap(fields(connection), (common) =>
      emit({ event: "connected", ...common, connectMillis: connectMillis?.(), origin, failed: [...failed] })
    )
    return connection
  })
}
