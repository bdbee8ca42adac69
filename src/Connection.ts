/**
 * A connection: a live duplex byte stream with who and where, alive as long as its `Scope`.
 *
 * Underneath is a `Port`, small and synchronous: transports make one from a socket, codecs make one from another. What a
 * user holds is the Effect face of the top port: `pull`, `write` and the rest, one operation a batch.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Pull from "effect/Pull"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import type { Address } from "./Address.ts"
import type { ConnectionError, ConnectionReason } from "./ConnectionError.ts"
import { PublicKey } from "./Identity.ts"
import { Face } from "./internal/face.ts"
import { Pump } from "./internal/pump.ts"
import { Limits, type LimitValues } from "./Limits.ts"

/** One or more pieces of the byte stream, in order; their boundaries mean nothing. */
export type Chunks = NonEmptyReadonlyArray<Uint8Array>

// -----------------------------------------------------------------------------
// peer
// -----------------------------------------------------------------------------

/** Nothing is known of who is at the other end. */
export class Anonymous extends Schema.TaggedClass<Anonymous>()("Anonymous", {}) {}
export const anonymous = new Anonymous()
/** The other end has proved that it holds the secret half of this key. */
export class Authenticated extends Schema.TaggedClass<Authenticated>()("Authenticated", { publicKey: PublicKey }) {}
/** The other end is vouched for by where it is: noauth over a unix socket or in memory. */
export class Trusted extends Schema.TaggedClass<Trusted>()("Trusted", {}) {}

/** Who is at the other end. */
export const Peer = Schema.Union([Anonymous, Authenticated, Trusted])
export type Peer = typeof Peer.Type

// -----------------------------------------------------------------------------
// connection
// -----------------------------------------------------------------------------

/** What a user holds. */
export interface Connection {
  /** What has arrived, as soon as there is some. The clean end is `Cause.Done`. The bytes are the caller's. */
  readonly pull: Pull.Pull<Chunks, ConnectionError>
  /**
   * Writes whole and in order, also among fibers. The bytes are borrowed until it succeeds. Success means accepted within
   * the bound, not on the wire; a write interrupted when part of it was accepted fails the connection.
   */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, ConnectionError>
  /** As `write`, for a batch. */
  readonly writeAll: (chunks: Chunks) => Effect.Effect<void, ConnectionError>
  /** Waits until the kernel has everything that was written. */
  readonly flush: Effect.Effect<void, ConnectionError>
  /** Flushes, then says that all was said; reading goes on where the stack has a half close. */
  readonly end: Effect.Effect<void, ConnectionError>
  /** Whether the other end can go on after this one has ended. */
  readonly halfClose: boolean
  /** Where the other end is, as reached, with the keys that were proved. Never with a seed. */
  readonly remote: Address
  readonly peer: Peer
}

// -----------------------------------------------------------------------------
// port
// -----------------------------------------------------------------------------

/** Who hears from a port. */
export interface PortListener {
  /** There is something to take, or an end, or a failure. */
  readonly readable: () => void
  /** Everything offered has left user space (`pending` is 0) or never will (`failure` is set), or it is full no more. */
  readonly drained: () => void
}

/**
 * The synchronous side of a connection, for those who write transports. Nothing here throws, blocks or runs a fiber.
 *
 * Ownership: bytes from `take` are the taker's, which may write into them. Bytes in `offer` are the offerer's again at once
 * when it answers `true`, and otherwise as soon as `pending` is 0.
 */
export interface Port {
  readonly halfClose: boolean
  /** Sets who hears from now on. Reading begins with the first one. */
  readonly listen: (listener: PortListener) => void
  /** All that has arrived and wasn't taken; `undefined` when there is nothing. Reading pauses while much is untaken. */
  readonly take: () => Chunks | undefined
  /**
   * While the listener hears `readable`: what has arrived just now, where it lies, if nothing came before it. It is the borrower's, to
   * write into too, until `readable` returns. Otherwise `undefined`, and so from a port that does not lend.
   */
  readonly borrow?: () => Chunks | undefined
  /** The peer has ended, and everything before that was taken. */
  readonly ended: boolean
  /** Set once, when nothing goes any more. What had arrived can still be taken. */
  readonly failure: ConnectionReason | undefined
  /** Accepts bytes, always all of them, whatever `full` says. Answers whether they were copied. */
  readonly offer: (bytes: Uint8Array) => boolean
  /** Whether every offer is copied: then it may be of borrowed bytes. By default not. */
  readonly copies?: boolean
  /** Bytes accepted that the kernel has not got. */
  readonly pending: number
  /** Enough is pending: offer no more until `drained`. */
  readonly full: boolean
  /** Hands what is staged to the next one at once. */
  readonly flush: () => void
  /** Nothing more will be offered: half close. */
  readonly end: () => void
  /** Whether closing while the peer still sends takes with it what the peer has yet to read, as in TCP. By default not. */
  readonly resets?: boolean
  /** All was flushed: lets go of what this port holds. A port over another one leaves that to its own close. */
  readonly close: () => void
  /** Ends at once, with everything below. */
  readonly destroy: () => void
  /** Between these, offers may be held back to go as one write. */
  readonly cork?: () => void
  readonly uncork?: () => void
}

/** How a connection went; final when its scope is closed. */
export interface Account {
  readonly bytesRead: number
  readonly bytesWritten: number
  /** `end`: both sides said goodbye. `closed`: this side did. Otherwise the tag of the reason for which it failed. */
  readonly tag: "end" | "closed" | ConnectionReason["_tag"]
}

/** What `make` makes. The face is private to it, so that no copy of a connection reaches its port. */
class Made implements Connection {
  readonly #face: Face
  readonly pull: Connection["pull"]
  readonly write: Connection["write"]
  readonly writeAll: Connection["writeAll"]
  readonly flush: Connection["flush"]
  readonly end: Connection["end"]
  readonly halfClose: boolean
  readonly remote: Address
  readonly peer: Peer

  constructor(face: Face, { peer, remote }: Who) {
    this.#face = face
    // All in one function, so that they share what they close over.
    const next: Connection["pull"] = Effect.callback((resume) => face.wait(resume))
    this.pull = Effect.suspend(() => face.pullNow() ?? next)
    this.write = (chunk) => face.write(chunk)
    this.writeAll = (chunks) => face.writeAll(chunks)
    this.flush = Effect.suspend(() => face.flush())
    this.end = Effect.suspend(() => face.end())
    this.halfClose = face.port.halfClose
    this.remote = remote
    this.peer = peer
  }

  static face(connection: Connection): Face | undefined {
    return #face in connection ? connection.#face : undefined
  }
}

/** When the connections that one closing scope takes with it have to be gone, in milliseconds of the clock. */
const closeDeadlines = new WeakMap<Scope.Scope, number>()

/** How long this scope may still take to close. Connections of one scope close one after another and share its time. */
const remainingClose = (scope: Scope.Scope, { close }: LimitValues): Effect.Effect<number> =>
  Effect.map(Clock.currentTimeMillis, (now) => {
    let root = scope
    while (root.parent?.state._tag === "Closed") root = root.parent
    const deadline = closeDeadlines.get(root) ?? now + Duration.toMillis(close)
    closeDeadlines.set(root, deadline)
    return deadline - now
  })

/** Who is at the other end, and where. */
export type Who = Pick<Connection, "peer" | "remote">

/**
 * The connection over a port, alive as long as the scope.
 *
 * When the scope closes after success: flush, goodbye, FIN, waiting while bytes are pending for the kernel and never for the
 * peer. After a failure or an interruption: it is destroyed at once, without a goodbye.
 *
 * `over` is the connection whose port it works on. It leaves after this one, and where nothing else came between they share a
 * finalizer: half a KiB less for each that is idle.
 */
export const make = (port: Port, who: Who, over?: Connection): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<Scope.Scope>) => {
    const scope = Context.get(context, Scope.Scope)
    const face = new Face(port, who.remote)
    const connection = new Made(face, who)
    const lower = over && Made.face(over)
    if (lower?.finalizer !== undefined && lower.finalizer === lastFinalizer(scope)) {
      lower.above = face
      return Effect.succeed(connection)
    }
    face.finalizer = leaving(face, scope, Context.get(context, Limits))
    return Effect.as(Scope.addFinalizerExit(scope, face.finalizer), connection)
  })

/** Where a scope has more finalizers, who was the last is not looked for. */
const fewFinalizers = 4

/** What a scope runs first. */
const lastFinalizer = ({ state }: Scope.Scope): Face["finalizer"] => {
  if (state._tag !== "Open") return undefined
  const { finalizer, finalizers } = state
  if (finalizers === undefined || finalizers.size > fewFinalizers) return finalizer
  return [...finalizers.values()].at(-1)
}

/** A connection's finalizer: not within `make`, of which it would keep all that it was given. */
const leaving = (face: Face, scope: Scope.Scope, limits: LimitValues) => (exit: Exit.Exit<unknown, unknown>) =>
  leave(face, exit, scope, limits)

/** What is above leaves first. */
const leave = (
  face: Face,
  exit: Exit.Exit<unknown, unknown>,
  scope: Scope.Scope,
  limits: LimitValues
): Effect.Effect<void> => {
  const { above, onLeft } = face
  const own = () => {
    const left = face.leave(exit, () => remainingClose(scope, limits))
    return onLeft === undefined ? left : Effect.ensuring(left, Effect.sync(onLeft))
  }
  if (above === undefined) return own()
  return Effect.ensuring(
    Effect.suspend(() => leave(above, exit, scope, limits)),
    Effect.suspend(own)
  )
}

/**
 * Takes a connection's port, for a transform that works below Effect. The connection is consumed: from now on it fails
 * with `LocallyClosed`. A connection without a port gets one with a bounded pump.
 */
export const takePort = (connection: Connection): Effect.Effect<Port, never, Scope.Scope> =>
  Effect.suspend(() => {
    const face = Made.face(connection)
    return face === undefined ? Effect.flatMap(fromEffects(connection), takePort) : Effect.succeed(face.consume())
  })

/** What a connection has carried and how it ended. `undefined` for one that `make` didn't make. */
export const account = (connection: Connection): Account | undefined => Made.face(connection)?.account()

/** Tells the holder of a connection to finish: `pull` delivers what there is and then fails `LocallyClosed(draining)`. */
export const drain = (connection: Connection): void => Made.face(connection)?.drain()

/** Counts what a handshake carries on the port that it took from a connection to that connection's account. */
export const tally = (connection: Connection, carried: Pick<Account, "bytesRead" | "bytesWritten">): void => {
  const face = Made.face(connection)
  if (face !== undefined) face.tally = carried
}

/** Fails a connection with `TimedOut`, at once: this side has waited long enough. */
export const expire = (connection: Connection): void => Made.face(connection)?.expire()

/** Whether what was written waits for the peer to read. */
export const isStalled = (connection: Connection): boolean => Made.face(connection)?.stalled ?? false

/** `Face.readOn`, once this side has ended. */
export const readOn = (connection: Connection, ...how: Parameters<Face["readOn"]>): Effect.Effect<void> =>
  Made.face(connection)?.readOn(...how) ?? Effect.void

/** When its scope closes it is not cut off from a peer that still sends: that would take with it what the peer has yet to read. */
export const outlast = (connection: Connection): void => {
  const face = Made.face(connection)
  if (face !== undefined) face.outlasts = true
}

// -----------------------------------------------------------------------------
// connections made of effects
// -----------------------------------------------------------------------------

/** What `fromEffects` is given: the parts of a `Connection` that carry bytes. */
export type Effects = Pick<Connection, "pull" | "writeAll" | "end" | "halfClose" | "remote" | "peer"> & {
  /** Ends at once. Without it, closing the scope of what is wrapped has to. */
  readonly destroy?: () => void
}

/**
 * A connection from effects, for transforms that can't work on a port (zlib) and for foreign byte streams. A pump with
 * bounded buffers runs behind its port.
 */
export const fromEffects = (effects: Effects): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const pump = new Pump(effects)
    yield* Effect.forkScoped(pump.reading, { startImmediately: true })
    yield* Effect.forkScoped(pump.writing, { startImmediately: true })
    return yield* make(pump, effects)
  })

/** The same connection, or one over it with a pump when it has no port of its own. `left` runs when it has left with its scope. */
export const withPort = (connection: Connection, left?: () => void): Effect.Effect<Connection, never, Scope.Scope> => {
  const face = Made.face(connection)
  if (face === undefined) return Effect.flatMap(fromEffects(connection), (own) => withPort(own, left))
  if (left !== undefined) face.whenLeft(left)
  return Effect.succeed(connection)
}

// -----------------------------------------------------------------------------
// views
// -----------------------------------------------------------------------------

/** What arrives, as a stream that ends at the peer's goodbye. */
export const stream = (connection: Connection): Stream.Stream<Uint8Array, ConnectionError> =>
  Stream.fromPull(Effect.succeed(connection.pull))

/** What is done with a borrowed chunk, at once. An effect that it returns is waited for; the chunk is no longer there then. */
// biome-ignore lint/suspicious/noConfusingVoidType: most return nothing
export type Use<E, R> = (chunk: Uint8Array) => Effect.Effect<unknown, E, R> | void

/**
 * Hands each chunk to the callback until the clean end. A chunk is borrowed: it is there, and may be written to, until the callback
 * returns, and that costs no buffer for each read. To make the peer wait, return an effect: nothing is read until it is done.
 */
export const forEachChunk = <E = never, R = never>(
  connection: Connection,
  use: Use<E, R>
): Effect.Effect<void, ConnectionError | E, R> => {
  const face = Made.face(connection)
  if (face !== undefined) return face.forEachChunk(use)
  return Stream.runForEach(stream(connection), (chunk) => Effect.suspend(() => use(chunk) ?? Effect.void))
}

/** Writes to one what arrives from another, no faster than that one takes it, until the clean end. Nothing is said then. */
export const forward = (from: Connection, to: Connection): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    const face = Made.face(to)
    return forEachChunk(from, (chunk) =>
      face === undefined ? to.write(new Uint8Array(chunk)) : face.writeBorrowed(chunk)
    )
  })

/** Writes what it is given, and ends this side when that ends. */
export const sink = (connection: Connection): Sink.Sink<void, Uint8Array, never, ConnectionError> =>
  Sink.forEachArray((chunks: Chunks) => connection.writeAll(chunks)).pipe(Sink.mapEffect(() => connection.end))
