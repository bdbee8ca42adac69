/**
 * Connections for what speaks Effect's `Socket`: `effect/rpc`, cluster, channels.
 *
 * A `Socket` dials when its reader is acquired. Its errors are `SocketError`s: the peer's end is a `SocketCloseError` 1000, a
 * listener that stops is 1001, and what breaks a connection is a `SocketReadError` or `SocketWriteError` with the
 * `ConnectionError` as `reason.cause`. Releasing the reader's scope closes the connection: with a goodbye after success or
 * after one of those closes, and at once without one after any other failure or an interruption. What a `Socket` can't tell,
 * who the peer is for one, the `Connection` can.
 */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import type { Connection } from "../Connection.ts"
import { DialError } from "../DialError.ts"
import * as View from "../internal/view.ts"

const closeError = (code: number, closeReason?: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason }) })

const openError = (cause: unknown): Socket.SocketError => {
  const kind = cause instanceof DialError && cause.reason._tag === "DialTimedOut" ? "Timeout" : "Unknown"
  return new Socket.SocketError({ reason: new Socket.SocketOpenError({ kind, cause }) })
}

const readError = (cause: unknown): Socket.SocketError =>
  View.isDraining(cause)
    ? closeError(1001, "draining")
    : new Socket.SocketError({ reason: new Socket.SocketReadError({ cause }) })

const writeError = (cause: unknown): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketWriteError({ cause }) })

/** A loop over a socket can't end but by a failure: these are the good ones. */
const isClose = (error: unknown): boolean =>
  Socket.isSocketError(error) && error.reason._tag === "SocketCloseError" && error.reason.code <= 1001

/** Whether just the close of a socket ended it. */
export const isClosed = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.length > 0 && cause.reasons.every((reason) => Cause.isFailReason(reason) && isClose(reason.error))

const encoder = new TextEncoder()
const toBytes = (chunk: Uint8Array | string): Uint8Array => (typeof chunk === "string" ? encoder.encode(chunk) : chunk)

/** One acquisition of the reader. */
interface Current {
  readonly connection: Connection
  /** Half closes without waiting for it. */
  readonly end: Effect.Effect<unknown>
  readonly close: (error: Socket.SocketError) => void
}

/**
 * The socket whose reader opens a connection, anew for each acquisition. `Effect.succeed(connection)` makes one of an open
 * connection, which then closes with its own scope, or at once when the reader's scope fails.
 */
export const toSocket = <E, R>(
  open: Effect.Effect<Connection, E, R>
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
    let current: Current | undefined
    const connected = Latch.makeUnsafe(false)

    const reader: Socket.Socket["reader"] = Effect.gen(function* () {
      // A child of the caller's scope, so that connections that close together share their time; closed before it.
      const scope = yield* Effect.acquireRelease(Effect.flatMap(Effect.scope, Scope.fork), (scope, exit) =>
        Scope.close(scope, Exit.isFailure(exit) && isClosed(exit.cause) ? Exit.void : exit)
      )
      const connection = yield* open.pipe(
        Effect.mapError(openError),
        Effect.updateContext(
          (own: Context.Context<Scope.Scope>) =>
            Context.add(Context.merge(context, own), Scope.Scope, scope) as Context.Context<R>
        )
      )
      const closing = Deferred.makeUnsafe<never, Socket.SocketError>()
      const own: Current = {
        connection,
        end: Effect.forkIn(Effect.ignore(connection.end), scope, { startImmediately: true }),
        close: (error) => Deferred.doneUnsafe(closing, Effect.fail(error))
      }
      yield* Scope.addFinalizerExit(scope, (exit) => {
        if (current === own) {
          current = undefined
          connected.closeUnsafe()
        }
        own.close(closeError(1006))
        return Exit.isFailure(exit) ? View.destroy(connection) : Effect.void
      })
      current = own
      connected.openUnsafe()
      const pull = connection.pull.pipe(
        Pull.catchDone(() => Effect.fail(closeError(1000))),
        Effect.mapError((error) => (Socket.isSocketError(error) ? error : readError(error))),
        Effect.raceFirst(Deferred.await(closing))
      )
      return { pull, upgrade: Socket.SocketUpgradeError.unsupported }
    })

    const withCurrent = <A>(
      use: (current: Current) => Effect.Effect<A, Socket.SocketError>
    ): Effect.Effect<A, Socket.SocketError> =>
      Effect.suspend(() => (current === undefined ? connected.whenOpen(withCurrent(use)) : use(current)))

    const close = (event: Socket.CloseEvent) =>
      withCurrent((own) => {
        if (event.code <= 1000) return Effect.mapError(own.connection.end, writeError)
        own.close(closeError(event.code, event.reason))
        return View.destroy(own.connection)
      })

    const write: Socket.Writer["write"] = (chunk) =>
      Socket.isCloseEvent(chunk)
        ? close(chunk)
        : withCurrent((own) => Effect.mapError(own.connection.write(toBytes(chunk)), writeError))

    const writeAll: Socket.Writer["writeAll"] = ([first, ...rest]) =>
      withCurrent((own) => Effect.mapError(own.connection.writeAll([toBytes(first), ...rest.map(toBytes)]), writeError))

    const writer: Socket.Socket["writer"] = Effect.acquireRelease(Effect.succeed({ write, writeAll }), (_, exit) =>
      current !== undefined && (Exit.isSuccess(exit) || isClosed(exit.cause)) ? current.end : Effect.void
    )
    return Effect.succeed(Socket.make({ reader, writer }))
  })
