/** What the transports over Node's stream sockets share: dialing one, taking one over, binding a server. */
import type * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import * as Link from "../Link.ts"
import type { BindReason } from "../ListenError.ts"
import { anonymous } from "../Peer.ts"
import type { Rooms } from "../Port.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import type { StackOptions } from "../Transport.ts"
import { backlog } from "./backlog.ts"
import * as SocketRooms from "./rooms.ts"
import { ignore, release, SocketPort } from "./socketPort.ts"
import { rewrap, StaticRead, StaticReads } from "./staticRead.ts"

/** How a transport reads its sockets: by the references where its layer is built. */
export interface Reading {
  readonly rooms: Rooms
  /** Whether all sockets read into one buffer. */
  readonly isStatic: boolean
}

export const reading: Effect.Effect<Reading> = Effect.gen(function* () {
  return { rooms: yield* SocketRooms.rooms, isStatic: yield* StaticReads }
})

/** A socket's fd goes with the scope, whatever happens to what is over it. */
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
 * Connects a socket where nothing can interrupt but what `restore` runs. Afterwards the caller owns it, and of others
 * nothing is left.
 */
export type Connecting<E> = (restore: Restore) => Effect.Effect<net.Socket, E>

/** Opens a socket and waits until it is connected. Interrupted before that, the socket is destroyed. */
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

/** A connected socket, which goes with the scope. */
export const connected = <E>(connecting: Connecting<E>): Effect.Effect<net.Socket, E, Scope.Scope> =>
  Effect.uninterruptibleMask((restore) => Effect.tap(connecting(restore), inScope))

/** What a socket's port is told of the stack over it. */
type Over = Pick<StackOptions, "authenticates">

/** The link over a connected socket, which is its port's from now on. `source`: the IP that it comes from, if any. */
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

/** Opens a socket of a dial, paused, by a call that is given how it reads. */
export type Opening = (open: (options: { readonly onread?: net.OnReadOpts }) => net.Socket) => net.Socket

/**
 * Connects a socket for the link over it. Between the moment in which it is connected and the link's finalizer, nothing
 * can interrupt.
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

/** An accepted socket, for who takes it. Until its port listens, errors wait: what fails before shows then. */
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

/** Listens with a server, which closes with the scope. */
export const bound = (
  open: () => net.Server,
  options: net.ListenOptions,
  reason: (error: NodeJS.ErrnoException) => BindReason,
  /** Runs the bind, for example under another umask. */
  around: (bind: () => void) => void = (bind) => bind()
): Effect.Effect<net.Server, BindReason, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(open), (server) => Effect.sync(() => server.close())).pipe(
    Effect.tap((server) =>
      Effect.callback<void, BindReason>((resume) => {
        // It stays: an accept that fails later, for want of memory say, is no reason to stop accepting.
        server.on("error", (error) => resume(Effect.fail(reason(error))))
        around(() => server.listen({ backlog, ...options }, () => resume(Effect.void)))
      })
    )
  )
