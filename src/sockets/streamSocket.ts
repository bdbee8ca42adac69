/** What the transports over Node's stream sockets share: dialing one, taking one over, binding a server. */
import type * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import * as Link from "../Link.ts"
import type { BindReason } from "../ListenError.ts"
import { anonymous } from "../Peer.ts"
import type { Rooms } from "../Port.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import type { StackOptions } from "../Transport.ts"
import * as SocketRooms from "./rooms.ts"
import { ignore, release, SocketPort } from "./socketPort.ts"
import { rewrap, StaticRead, StaticReads } from "./staticRead.ts"

/** How a transport reads its sockets: as the references of the hacks say when its layer is built. */
export interface Reading {
  readonly rooms: Rooms
  /** Whether all sockets read into one buffer. */
  readonly isStatic: boolean
}

export const reading: Effect.Effect<Reading> = Effect.gen(function* () {
  return { rooms: yield* SocketRooms.rooms, isStatic: yield* StaticReads }
})

/** Releases a socket when the scope closes, whatever happens to the stack over it. */
const inScope = (socket: net.Socket): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) =>
    Scope.addFinalizerExit(scope, () => {
      release(socket)
      return Effect.void
    })
  )

/** Runs an effect so that it can be interrupted. */
export type Restore = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * Connects a socket. Only what `restore` runs can be interrupted. Afterwards the caller owns the socket, and any other
 * socket that was opened is destroyed.
 */
export type Connecting<E> = (restore: Restore) => Effect.Effect<net.Socket, E>

/** Opens a socket and waits until it is connected. An interruption before that destroys the socket. */
export const opened =
  <E>(open: () => net.Socket, reason: (error: NodeJS.ErrnoException) => E): Connecting<E> =>
  (restore) =>
    restore(
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
    )

/** Connects a socket, which is released when the scope closes. */
export const connected = <E>(connecting: Connecting<E>): Effect.Effect<net.Socket, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => Effect.tap(connecting(restore), inScope))

/** What a socket's port has to know about the stack over it. */
type Over = Pick<StackOptions, "authenticates">

/** Makes the link over a connected socket, which its port owns from now on. `source` is the peer's IP, if any. */
export const overSocket = (
  socket: net.Socket,
  transport: Address.Section,
  { rooms }: Reading,
  { authenticates }: Over,
  source?: string,
  read?: StaticRead
): Effect.Effect<Link.Link, never, Scope.Scope> => {
  const remote = makeUnchecked(Address.Address, { transport, transforms: [] })
  return Link.make(new SocketPort(socket, rooms, authenticates, read), { remote, peer: anonymous, source })
}

/** Opens a paused socket for a dial. `open` gets the option that says how the socket reads. */
export type Opening = (open: (options: { readonly onread?: net.OnReadOpts }) => net.Socket) => net.Socket

/**
 * Connects a socket and makes the link over it. Nothing can interrupt between the moment when the socket is connected
 * and the link's finalizer.
 */
export const dialed = <E>(
  connecting: (opening: Opening) => Connecting<E>,
  remoteOf: (socket: net.Socket) => Address.Section,
  reading: Reading,
  stack: Over
): Effect.Effect<Link.Link, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => {
    const reads = new Map<net.Socket, StaticRead>()
    const opening: Opening = (open) => {
      if (!reading.isStatic) return open({}).pause()
      const read = new StaticRead()
      const socket = open({ onread: read.onread }).pause()
      reads.set(socket, read)
      return socket
    }
    return Effect.flatMap(connecting(opening)(restore), (socket) =>
      overSocket(socket, remoteOf(socket), reading, stack, undefined, reads.get(socket))
    )
  })

/** The link over an accepted socket, made when the effect runs. If the socket fails before that, the port sees it. */
export const accepted = (
  socket: net.Socket,
  remote: Address.Section,
  reading: Reading,
  stack: Over,
  source?: string
): Effect.Effect<Link.Link, never, Scope.Scope> => {
  socket.on("error", ignore)
  // The fiber keeps this effect alive. The box lets it drop the original socket after the rewrap.
  const given = { socket }
  return Effect.uninterruptible(
    Effect.suspend(() => {
      const { read, socket } = reading.isStatic ? rewrap(given.socket) : { read: undefined, socket: given.socket }
      given.socket = socket
      return overSocket(socket, remote, reading, stack, source, read)
    })
  )
}

/** Listens with a server, which is closed when the scope closes. */
export const bound = (
  open: () => net.Server,
  /** Makes the server listen. A failure says that it can't. */
  listen: (server: net.Server, done: () => void) => Result.Result<void, BindReason>,
  reason: (error: NodeJS.ErrnoException) => BindReason
): Effect.Effect<net.Server, BindReason, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(open), (server) => Effect.sync(() => server.close())).pipe(
    Effect.tap((server) =>
      Effect.callback<void, BindReason>((resume) => {
        // This stays: an accept that fails later, for lack of memory for example, is no reason to stop accepting.
        server.on("error", (error) => resume(Effect.fail(reason(error))))
        const listening = listen(server, () => resume(Effect.void))
        if (Result.isFailure(listening)) resume(Effect.fail(listening.failure))
      })
    )
  )
