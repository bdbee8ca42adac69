/**
 * Connections as Effect's `Socket`, for channels, `effect/rpc` and cluster.
 *
 * Acquiring a socket's reader opens a connection. The peer's end is a `SocketCloseError` 1000 and a listener that stops
 * is 1001; what breaks the connection is a `SocketReadError` or `SocketWriteError`, with the `ConnectionError` as its
 * `reason.cause`. When the reader's scope closes, the connection says goodbye after success and after those two closes,
 * and is ended at once without one after any other failure or an interruption. Releasing the writer half closes.
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
import { type Connection, destroy } from "../Connection.ts"
import { inOwnScope } from "../inOwnScope.ts"
import { closeError, isClosed, openError, readError, writeError } from "./socketErrors.ts"

/** One acquisition of a reader. */
interface Current {
  readonly connection: Connection
  readonly scope: Scope.Scope
  /** What a pull fails with from now on. */
  readonly closing: Deferred.Deferred<never, Socket.SocketError>
}

const encoder = new TextEncoder()
const toBytes = (chunk: Uint8Array | string): Uint8Array => (typeof chunk === "string" ? encoder.encode(chunk) : chunk)

/**
 * The socket that opens a connection for each acquisition of its reader: `toSocket(Multiserver.dial(address))`. With
 * `Effect.succeed(connection)` it is a view of an open one, which says goodbye with its own scope.
 */
export const toSocket = <E, R>(
  open: Effect.Effect<Connection, E, R>
): Effect.Effect<Socket.Socket, never, Exclude<R, Scope.Scope>> =>
  Effect.contextWith((context: Context.Context<Exclude<R, Scope.Scope>>) => {
    let current: Current | undefined
    const connected = Latch.makeUnsafe(false)

    const reader: Socket.Socket["reader"] = Effect.gen(function* () {
      // A child, so that sockets that close together share their time to close.
      const scope = yield* Effect.acquireRelease(Effect.flatMap(Effect.scope, Scope.fork), (scope, exit) =>
        Scope.close(scope, Exit.isFailure(exit) && isClosed(exit.cause) ? Exit.void : exit)
      )
      const connection = yield* open.pipe(
        Effect.mapError(openError),
        // The scope that was excluded comes back with `own`, which the type can't follow.
        Effect.updateContext((own: Context.Context<Scope.Scope>) => Context.merge(context, own) as Context.Context<R>),
        Scope.provide(scope)
      )
      const own: Current = { connection, scope, closing: Deferred.makeUnsafe() }
      yield* Scope.addFinalizerExit(scope, (exit) => {
        if (current === own) {
          connected.closeUnsafe()
          current = undefined
        }
        Deferred.doneUnsafe(own.closing, Effect.fail(closeError(1006)))
        return Exit.isFailure(exit) ? destroy(connection) : Effect.void
      })
      current = own
      connected.openUnsafe()
      const pull = connection.pull.pipe(
        Effect.mapError((error) => (Cause.isDone(error) ? error : readError(error))),
        Pull.catchDone(() => Effect.fail(closeError(1000))),
        Effect.raceFirst(Deferred.await(own.closing))
      )
      return { pull, upgrade: Socket.SocketUpgradeError.unsupported }
    }).pipe(
      // When it fails, nothing of it stays in the scope of one who tries again.
      inOwnScope,
      Effect.map(({ value }) => value)
    )

    const whenConnected = (use: (own: Current) => Effect.Effect<void, Socket.SocketError>): ReturnType<typeof use> =>
      Effect.suspend(() => (current === undefined ? connected.whenOpen(whenConnected(use)) : use(current)))

    const close = ({ code, reason }: Socket.CloseEvent) =>
      whenConnected(({ closing, connection }) => {
        if (code <= 1000) return Effect.mapError(connection.end, writeError)
        Deferred.doneUnsafe(closing, Effect.fail(closeError(code, reason)))
        return destroy(connection)
      })

    const writer: Socket.Writer = {
      write: (chunk) =>
        Socket.isCloseEvent(chunk)
          ? close(chunk)
          : whenConnected(({ connection }) => Effect.mapError(connection.write(toBytes(chunk)), writeError)),
      writeAll: ([first, ...rest]) =>
        whenConnected(({ connection }) =>
          Effect.mapError(connection.writeAll([toBytes(first), ...rest.map(toBytes)]), writeError)
        )
    }

    // A finalizer must not wait for a peer that doesn't read, as `end` does.
    const release = (_: Socket.Writer, exit: Exit.Exit<unknown, unknown>): Effect.Effect<unknown> =>
      current !== undefined && (Exit.isSuccess(exit) || isClosed(exit.cause))
        ? Effect.forkIn(Effect.ignore(current.connection.end), current.scope, { startImmediately: true })
        : Effect.void

    return Effect.succeed(Socket.make({ reader, writer: Effect.acquireRelease(Effect.succeed(writer), release) }))
  })
