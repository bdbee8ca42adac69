/**
 * A connection as one of Effect's `Socket`s, for `effect/rpc`, cluster and channels; and a link over any `Socket`, for
 * a transport that somebody else has written.
 */
import * as Arr from "effect/Array"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Layer from "effect/Layer"
import * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { format } from "../Address.ts"
import { type Connection, destroy, fromEffects } from "../Connection.ts"
import { ConnectionError } from "../ConnectionError.ts"
import { inOwnScope } from "../inOwnScope.ts"
import type { Link, WhoOptions } from "../Link.ts"
import * as Multiserver from "../Multiserver.ts"
import { anonymous } from "../Peer.ts"
import { closeError, isCleanEnd, isClosed, openError, readError, toReason, writeError } from "./socketErrors.ts"

// -----------------------------------------------------------------------------
// a connection as a socket
// -----------------------------------------------------------------------------

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
 * The socket that opens a connection each time its reader is acquired: `toSocket(Multiserver.dial(address))`. With
 * `Effect.succeed(connection)` it is a view of an open connection, which says goodbye when its own scope closes.
 *
 * The peer's end is a `SocketCloseError` with the code 1000, a listener that stops is one with 1001. What breaks the
 * connection is a `SocketReadError` or a `SocketWriteError`, with the `ConnectionError` as its `reason.cause`; a dial
 * that fails is a `SocketOpenError`. When the reader's scope closes, the connection says goodbye after a success and
 * after these two closes, and is destroyed without a goodbye after any other failure. After an interruption, a
 * connection that was opened for this reader is destroyed too. One that was open before is left to its own scope,
 * because `RpcClient` interrupts its reader whenever it is left. `RpcClient` interrupts it also when its pings get no
 * answer, so give it `onPingTimeout: Connection.destroy(connection)`. Releasing the writer half closes.
 *
 * @category conversions
 * @since 0.1.0
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
        return Exit.isFailure(exit) && !Cause.hasInterruptsOnly(exit.cause) ? destroy(connection) : Effect.void
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
      // When it fails, nothing of it stays in the scope: the caller may try again in the same one.
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

/**
 * The socket of these addresses: it dials each time its reader is acquired. Its writer follows: it writes to the
 * connection of the moment, and waits while there is none. What `toSocket` says about errors and ends holds here too.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = (
  target: Multiserver.Target,
  options?: Multiserver.DialOptions
): Effect.Effect<Socket.Socket, never, Multiserver.Multiserver> => toSocket(Multiserver.dial(target, options))

/**
 * `make` as a layer, for whatever runs over Effect's `Socket`. Building the layer dials nothing.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Socket } from "effect/socket"
 * import { Memory, Multiserver, MultiserverSocket } from "effect-multiserver"
 *
 * const Live = MultiserverSocket.layer("memory:greeter").pipe(
 *   Layer.provideMerge(Multiserver.layer(["memory"])),
 *   Layer.provide(Memory.layer())
 * )
 * const program = Effect.gen(function* () {
 *   const greet = Multiserver.layerServer("memory:greeter", ({ write }) => write(new TextEncoder().encode("hello")))
 *   yield* Layer.build(greet)
 *   const pull = yield* Socket.readerString(yield* Socket.Socket)
 *   console.log((yield* pull).join("")) // hello
 * })
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Live)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  target: Multiserver.Target,
  options?: Multiserver.DialOptions
): Layer.Layer<Socket.Socket, never, Multiserver.Multiserver> => Layer.effect(Socket.Socket, make(target, options))

// -----------------------------------------------------------------------------
// a link over a socket
// -----------------------------------------------------------------------------

/**
 * What a link over a socket can't learn from the socket itself.
 *
 * @category options
 * @since 0.1.0
 */
export interface FromOptions extends WhoOptions {
  /**
   * Whether releasing the socket's writer ends this side only, as over TCP with `allowHalfOpen`. By default it does
   * not, and `end` sends a Close with the code 1000, as a WebSocket needs.
   */
  readonly halfClose?: boolean
}

/**
 * Opens the socket and makes a link over it, until the scope closes.
 *
 * Backpressure and half close are as good as the socket's own. A socket that closes with 1000, or without a code, has
 * ended. Any other close is `Truncated`, and what breaks the socket is `Reset`.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromSocket = (
  socket: Socket.Socket,
  { halfClose = false, peer = anonymous, ...where }: FromOptions
): Effect.Effect<Link, Socket.SocketError, Scope.Scope> =>
  inOwnScope(
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
      const fail = (error: Socket.SocketError) =>
        new ConnectionError({ remote: format(where.remote), reason: toReason(error) })
      const pull = yield* Scope.provide(Socket.readerBytes(socket), scope)
      const writing = yield* Scope.fork(scope)
      const writer = yield* Scope.provide(socket.writer, writing)
      // A code that every WebSocket lets its user send, and that does not say a clean end.
      const destroy = Effect.ignore(writer.write(new Socket.CloseEvent(4000, "broken off"))).pipe(
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.andThen(Scope.close(scope, Exit.interrupt()))
      )
      return yield* fromEffects({
        // Copies, because a socket may hand on memory that its peer keeps, and codecs open frames where they lie.
        pull: Effect.catch(
          Effect.map(
            pull,
            Arr.map((chunk) => new Uint8Array(chunk))
          ),
          (error): Pull.Pull<never, ConnectionError> => (isCleanEnd(error) ? Cause.done() : Effect.fail(fail(error)))
        ),
        writeAll: (chunks) => Effect.mapError(writer.writeAll(chunks), fail),
        end: halfClose
          ? Scope.close(writing, Exit.void)
          : Effect.mapError(writer.write(new Socket.CloseEvent(1000)), fail),
        destroy: () => void Effect.runForkWith(context)(destroy),
        halfClose,
        peer,
        ...where
      })
    })
  ).pipe(Effect.map(({ value }) => value))
