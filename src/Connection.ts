/**
 * A connection: a live duplex byte stream with who and where, alive as long as its `Scope`.
 *
 * It stands on a stack of synchronous ports. What a user holds are effects over the topmost one: `pull`, `write` and
 * the rest, one operation a batch.
 */
import * as Effect from "effect/Effect"
import * as Effectable from "effect/Effectable"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Predicate from "effect/Predicate"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type Address, format } from "./Address.ts"
import * as Codec from "./Codec.ts"
import type { ConnectionError } from "./ConnectionError.ts"
import { type Effects, EffectsPort } from "./connection/effects.ts"
import { Reader, type Use } from "./connection/reader.ts"
import { Writer } from "./connection/writer.ts"
import { defaults } from "./Limits.ts"
import * as Link from "./Link.ts"
import type { Peer } from "./Peer.ts"
import type { Chunks } from "./Port.ts"

export type { Effects } from "./connection/effects.ts"
export type { Use } from "./connection/reader.ts"
export type { Account, Who } from "./Link.ts"
export * from "./Peer.ts"
export type { Chunks } from "./Port.ts"

// -----------------------------------------------------------------------------
// what a user holds
// -----------------------------------------------------------------------------

/** A live byte stream with a peer, as long as the scope in which it was opened. */
export interface Connection {
  /**
   * What has arrived, as soon as there is some. The clean end is `Cause.Done`. The bytes are the caller's. A pull that
   * is interrupted while it waits loses nothing; one that is interrupted in the moment in which it has succeeded has
   * taken what it was given.
   */
  readonly pull: Pull.Pull<Chunks, ConnectionError>
  /**
   * Writes whole and in order, also among fibers. The bytes are borrowed until it succeeds. Success means accepted
   * within the bound, not on the wire; a write interrupted when part of it was accepted fails the connection.
   */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, ConnectionError>
  /** As `write`, for a batch. */
  readonly writeAll: (chunks: Chunks) => Effect.Effect<void, ConnectionError>
  /** Waits until the kernel has everything that was written. */
  readonly flush: Effect.Effect<void, ConnectionError>
  /** Flushes, then says that all was said; reading goes on where the stack has a half close. */
  readonly end: Effect.Effect<void, ConnectionError>
  /**
   * Succeeds when nothing can be read or written any more, however that came: both sides have ended and all was read,
   * it broke, it was destroyed or taken apart, or its scope was closed. The account says how, and how much was carried.
   * A peer that vanishes with a FIN, and without a goodbye, is noticed by who reads.
   */
  readonly closed: Effect.Effect<Link.Account>
  /** Whether the other end can go on after this one has ended. */
  readonly halfClose: boolean
  /** Where the other end is, as reached, with the keys that were proved. Never with a seed. */
  readonly remote: Address
  readonly peer: Peer
  /** What the transport knows the other end's origin by: an IP, a key. */
  readonly source: string | undefined
  /** The value that `authorize` gave for the peer. */
  readonly authorized: unknown
  /**
   * Bytes that both ends of this session share and no other session has, where a protocol gives some: to bind something
   * else to it.
   */
  readonly binding: Uint8Array | undefined
}

const TypeId = "~effect-multiserver/Connection"

/** Whether it is a connection that this package has made. */
export const isConnection = (value: unknown): value is Connection => Predicate.hasProperty(value, TypeId)

// Effects that hold an object instead of a closure over it: 64 bytes less each, which an idle connection keeps.

class Flush extends Effectable.Class<void, ConnectionError> {
  private readonly writer: Writer
  constructor(writer: Writer) {
    super()
    this.writer = writer
  }
  asEffect() {
    return this.writer.flush()
  }
}

class End extends Effectable.Class<void, ConnectionError> {
  private readonly writer: Writer
  constructor(writer: Writer) {
    super()
    this.writer = writer
  }
  asEffect() {
    return this.writer.end()
  }
}

class Closed extends Effectable.Class<Link.Account> {
  private readonly reader: Reader
  constructor(reader: Reader) {
    super()
    this.reader = reader
  }
  asEffect() {
    return this.reader.closed()
  }
}

/** A connection over a port. Reader and writer are private to it, so that no copy of a connection reaches them. */
class Made implements Connection {
  readonly #reader: Reader
  readonly #writer: Writer
  readonly pull: Connection["pull"]
  readonly write: Connection["write"]
  readonly writeAll: Connection["writeAll"]
  readonly flush: Connection["flush"]
  readonly end: Connection["end"]
  readonly closed: Connection["closed"]
  readonly halfClose: boolean
  readonly remote: Address
  readonly peer: Peer
  readonly source: string | undefined
  readonly authorized: unknown
  readonly binding: Uint8Array | undefined

  constructor(link: Link.Link, leaving: Link.Leaving, deadlines?: Link.CloseDeadlines) {
    const { port } = link
    const reader = new Reader(leaving)
    const writer = new Writer(leaving)
    this.#reader = reader
    this.#writer = writer
    // All in one function, so that they share what they close over.
    this.pull = Effect.callback((resume) => reader.wait(resume))
    this.write = (chunk) => writer.write(chunk)
    this.writeAll = (chunks) => writer.writeAll(chunks)
    this.flush = new Flush(writer)
    this.end = new End(writer)
    this.closed = new Closed(reader)
    this.halfClose = port.halfClose
    this.remote = link.remote
    this.peer = link.peer
    this.source = link.source
    this.authorized = link.authorized
    this.binding = link.binding
    leaving.open(link.remote, reader, writer, deadlines)
  }

  get [TypeId](): typeof TypeId {
    return TypeId
  }
  private get state(): "open" | "closed" {
    return this.#reader.isShut || this.#reader.leaving.isOver ? "closed" : "open"
  }
  toString(): string {
    return `Connection(${format(this.remote)}, ${this.state})`
  }
  toJSON(): unknown {
    return { _id: "Connection", remote: format(this.remote), state: this.state }
  }
  [NodeInspectSymbol](): string {
    return this.toString()
  }

  static leaving(connection: Connection): Link.Leaving | undefined {
    return #reader in connection ? connection.#reader.leaving : undefined
  }
  static reader(connection: Connection): Reader | undefined {
    return #reader in connection ? connection.#reader : undefined
  }
  static writer(connection: Connection): Writer | undefined {
    return #writer in connection ? connection.#writer : undefined
  }
}

// -----------------------------------------------------------------------------
// to and from links
// -----------------------------------------------------------------------------

/**
 * The one connection of a finished stack. `deadlines` are those that it shares with others of its Multiserver while
 * they leave.
 */
export const onTop = (link: Link.Link, deadlines = new Link.CloseDeadlines(defaults.close)): Connection =>
  new Made(link, link.leaving, deadlines)

/**
 * A connection within a stack, for a transform that is made of effects: it is there to be read and written, and leaves
 * with the stack that it is a part of.
 */
export const within = (link: Link.Link): Connection => new Made(link, Link.inner(link))

/**
 * A link from effects, for foreign byte streams. A port with bounded buffers and two fibers are between them; the
 * fibers are gone when the goodbye has left.
 */
export const fromEffects = (effects: Effects & Link.Who): Effect.Effect<Link.Link, never, Scope.Scope> => {
  const port = new EffectsPort(effects)
  const { authorized, binding, peer, remote, source } = effects
  return Effect.tap(Link.make(port, { peer, remote, source, authorized, binding }), (link) => pumped(link, port))
}

/** As `fromEffects`, over another link: what a transform does that can't work on a port. */
export const wrapEffects = (link: Link.Link, effects: Effects, who: Partial<Link.Who>): Effect.Effect<Link.Link> => {
  const port = new EffectsPort(effects, link.port)
  return pumped(Link.over(link, port, who), port)
}

const pumped = (link: Link.Link, port: EffectsPort): Effect.Effect<Link.Link> =>
  Link.lay(link, () =>
    Effect.forkScoped(port.reading, { startImmediately: true }).pipe(
      Effect.andThen(Effect.forkScoped(port.writing, { startImmediately: true })),
      Effect.as(link)
    )
  )

/**
 * Takes a connection apart again, for a transport that is made of one. The connection is consumed: from now on it fails
 * with `LocallyClosed`. One that somebody has wrapped is no stack of ports any more, and gets a port over its effects.
 */
export const toLink = (connection: Connection): Effect.Effect<Link.Link, never, Scope.Scope> =>
  Effect.suspend(() => {
    const reader = Made.reader(connection)
    if (reader === undefined) return fromEffects(connection)
    const { leaving } = reader
    const unread = reader.release()
    leaving.reopen()
    const { authorized, binding, peer, remote, source } = connection
    const link = { port: leaving.top, leaving, peer, remote, source, authorized, binding }
    return Effect.succeed(Link.over(link, Codec.port(link, undefined, unread), {}))
  })

/**
 * Ends a connection at once, without a goodbye. A connection that is wrapped by code of your own (a plain object with
 * the same methods) can't be ended so: it ends with the scope of the connection inside.
 */
export const destroy = (connection: Connection): Effect.Effect<void> =>
  Effect.sync(() => {
    const reader = Made.reader(connection)
    // One that was taken apart is nobody's to end.
    if (reader?.isShut === false) reader.leaving.destroy()
  })

/**
 * Fails when the connection breaks, even if nobody reads or writes. As with `closed`, some breaks are noticed only by a
 * reader. After a clean end it never completes. It fails at once, although bytes that arrived before the break may
 * still be unread: a reader gets those first, and then the error.
 */
export const broken = (connection: Connection): Effect.Effect<never, ConnectionError> =>
  Effect.flatMap(connection.closed, ({ tag }) =>
    // A flush that has nothing to do fails as the connection did.
    tag === "end" || tag === "closed" ? Effect.never : Effect.andThen(connection.flush, Effect.never)
  )

// -----------------------------------------------------------------------------
// views
// -----------------------------------------------------------------------------

/** What arrives, as a stream that ends at the peer's goodbye. */
export const stream = (connection: Connection): Stream.Stream<Uint8Array, ConnectionError> =>
  Stream.fromPull(Effect.succeed(connection.pull))

/**
 * Hands each chunk to the callback until the clean end. A chunk is borrowed: it is there, and may be written to, until
 * the callback returns, and that costs no buffer for each read. To make the peer wait, return an effect: nothing is
 * read until it is done.
 */
export const forEachChunk = <E = never, R = never>(
  connection: Connection,
  use: Use<E, R>
): Effect.Effect<void, ConnectionError | E, R> =>
  Made.reader(connection)?.forEachChunk(use) ??
  Stream.runForEach(stream(connection), (chunk) => Effect.suspend(() => use(chunk) ?? Effect.void))

/**
 * Writes to one what arrives from another, no faster than that one takes it, until the clean end. Nothing is said then.
 * It fails when either breaks, the one that it writes to also while nothing arrives.
 */
export const forward = (from: Connection, to: Connection): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    const writer = Made.writer(to)
    const copied = forEachChunk(from, (chunk) =>
      writer === undefined ? to.write(new Uint8Array(chunk)) : writer.writeBorrowed(chunk)
    )
    return Effect.raceFirst(copied, broken(to))
  })

/** Writes what it is given, and ends this side when that ends. */
export const sink = (connection: Connection): Sink.Sink<void, Uint8Array, never, ConnectionError> =>
  Sink.forEachArray((chunks: Chunks) => connection.writeAll(chunks)).pipe(Sink.mapEffect(() => connection.end))
