/**
 * A link over any of Effect's `Socket`s, for transports that others have written.
 *
 * Backpressure and half close are as good as the socket's own. A socket that closes with 1000, or without a code, has
 * ended; any other close is `Truncated`, and what breaks it is `Reset`.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Scope from "effect/Scope"
import * as Socket from "effect/socket/Socket"
import { type Address, format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { ConnectionError } from "../ConnectionError.ts"
import { inOwnScope } from "../inOwnScope.ts"
import type { Link } from "../Link.ts"
import { isCleanEnd, toReason } from "./socketErrors.ts"

/** Who and where the other end is, and what is known of the stream. */
export interface Options {
  /** Where the other end is. */
  readonly remote: Address
  /** Who is there, when something else has proved it. By default `Anonymous`. */
  readonly peer?: Connection.Peer
  /**
   * Whether releasing the socket's writer ends this side only, as over TCP with `allowHalfOpen`. By default not: then
   * `end` sends Close 1000, as fits a WebSocket.
   */
  readonly halfClose?: boolean
}

/** Opens the socket, and closes it with the scope. */
export const fromSocket = (
  socket: Socket.Socket,
  { halfClose = false, peer = new Connection.Anonymous(), remote }: Options
): Effect.Effect<Link, Socket.SocketError, Scope.Scope> =>
  inOwnScope(
    Effect.gen(function* () {
      const context = yield* Effect.context<never>()
      const scope = yield* Effect.flatMap(Effect.scope, Scope.fork)
      const fail = (error: Socket.SocketError) =>
        new ConnectionError({ remote: format(remote), reason: toReason(error) })
      const pull = yield* Scope.provide(Socket.readerBytes(socket), scope)
      const writing = yield* Scope.fork(scope)
      const writer = yield* Scope.provide(socket.writer, writing)
      // Any code but 1000 that each WebSocket lets its user send.
      const destroy = Effect.ignore(writer.write(new Socket.CloseEvent(4000, "broken off"))).pipe(
        Effect.forkIn(scope, { startImmediately: true }),
        Effect.andThen(Scope.close(scope, Exit.interrupt()))
      )
      return yield* Connection.fromEffects({
        pull: Effect.catch(
          pull,
          (error): Pull.Pull<never, ConnectionError> => (isCleanEnd(error) ? Cause.done() : Effect.fail(fail(error)))
        ),
        writeAll: (chunks) => Effect.mapError(writer.writeAll(chunks), fail),
        end: halfClose
          ? Scope.close(writing, Exit.void)
          : Effect.mapError(writer.write(new Socket.CloseEvent(1000)), fail),
        destroy: () => void Effect.runForkWith(context)(destroy),
        halfClose,
        peer,
        remote
      })
    })
  ).pipe(Effect.map(({ value }) => value))
