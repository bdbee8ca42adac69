/** What the transports over Node's stream sockets share: dialing one, taking one over, binding a server. */
import type * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import * as Connection from "../Connection.ts"
import { trusted } from "../internal/trusted.ts"
import type { BindReason } from "../ListenError.ts"
import { ignore, release, SocketPort } from "./socketPort.ts"
import { rewrap, type StaticRead } from "./staticRead.ts"

/** A socket's fd goes with the scope, whatever happens to what is over it. */
const inScope = (socket: net.Socket): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Scope.addFinalizerExit(scope, () => {
      release(socket)
      return Effect.void
    })
  )

/** Opens a socket and waits until it is connected. Interrupted before, it is gone; afterwards it is for who gets it to end it. */
const opened = <E>(open: () => net.Socket, reason: (error: NodeJS.ErrnoException) => E): Effect.Effect<net.Socket, E> =>
  Effect.callback((resume) => {
    const socket = open()
    const onError = (error: NodeJS.ErrnoException) => resume(Effect.fail(reason(error)))
    const onConnect = () => {
      socket.off("error", onError).on("error", ignore)
      resume(Effect.succeed(socket))
    }
    socket.once("connect", onConnect).on("error", onError)
    return Effect.sync(() => {
      socket.off("connect", onConnect)
      socket.destroy()
    })
  })

/** A connected socket, which goes with the scope. */
export const connected = <E>(
  open: () => net.Socket,
  reason: (error: NodeJS.ErrnoException) => E
): Effect.Effect<net.Socket, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => Effect.tap(restore(opened(open, reason)), inScope))

/** The connection over a connected socket. */
export const overSocket = (
  socket: net.Socket,
  transport: Address.Section,
  read?: StaticRead
): Effect.Effect<Connection.Connection, never, Scope.Scope> =>
  Effect.suspend(() => {
    const remote = trusted(Address.Address, { transport, transforms: [] })
    return Connection.make(new SocketPort(socket, read), { remote, peer: Connection.anonymous })
  })

/** Dials: the connection over a socket that is opened for it, and is its own from then on. */
export const dialed = <E>(
  open: () => net.Socket,
  reason: (error: NodeJS.ErrnoException) => E,
  over: (socket: net.Socket) => Effect.Effect<Connection.Connection, never, Scope.Scope>
): Effect.Effect<Connection.Connection, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => Effect.flatMap(restore(opened(open, reason)), over))

/** An accepted socket, for who takes it. Until its port listens, errors wait: what fails before shows then. */
export const accepted = (
  socket: net.Socket,
  remote: Address.Section
): Effect.Effect<Connection.Connection, never, Scope.Scope> => {
  socket.on("error", ignore)
  // The effect outlives its run, in the fiber that goes on; the socket that it was given needn't.
  const given = { socket }
  return Effect.uninterruptible(
    Effect.suspend(() => {
      const { read, socket } = rewrap(given.socket)
      given.socket = socket
      return overSocket(socket, remote, read)
    })
  )
}

/** Listens with a server, which closes with the scope. */
export const bound = (
  open: () => net.Server,
  options: net.ListenOptions,
  reason: (error: NodeJS.ErrnoException) => BindReason,
  /** Is around the moment in which the address is bound. */
  around: (bind: () => void) => void = (bind) => bind()
): Effect.Effect<net.Server, BindReason, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(open), (server) => Effect.sync(() => server.close())).pipe(
    Effect.tap((server) =>
      Effect.callback<void, BindReason>((resume) => {
        // It stays: an accept that fails later, for want of memory say, is no reason to stop accepting.
        server.on("error", (error) => resume(Effect.fail(reason(error))))
        around(() => server.listen(options, () => resume(Effect.void)))
      })
    )
  )
