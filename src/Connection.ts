/**
 * A connection: a live duplex byte stream, and who and where its peer is. It lives as long as its `Scope`.
 *
 * It stands on a stack of synchronous ports. Its user gets effects over the topmost port: `pull`, `write` and the rest.
 * Each of them handles a batch of chunks in one operation.
 */
import * as Effect from "effect/Effect"
import { NodeInspectSymbol } from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import type * as Pull from "effect/Pull"
import type * as Scope from "effect/Scope"
import * as Sink from "effect/Sink"
import * as Stream from "effect/Stream"
import { type Address, format } from "./Address.ts"
import * as Codec from "./Codec.ts"
import type { ConnectionError } from "./ConnectionError.ts"
import { type Effects, EffectsPort } from "./connection/effects.ts"
import { Closed, End, Flush } from "./connection/operations.ts"
import { Reader, type Use } from "./connection/reader.ts"
import { Writer } from "./connection/writer.ts"
import { defaults } from "./Limits.ts"
import * as Link from "./Link.ts"
import type { Peer } from "./Peer.ts"
import type { Chunks } from "./Port.ts"

export type { Effects } from "./connection/effects.ts"
export type { Use } from "./connection/reader.ts"
export type { Account, AccountTag, Who } from "./Link.ts"
export * from "./Peer.ts"
export type { Chunks } from "./Port.ts"

/**
 * A live byte stream with a peer. It lives as long as the scope in which it was opened.
 *
 * @category models
 * @since 0.1.0
 */
export interface Connection {
  /**
   * Takes the bytes that have arrived, or waits for some. They are the caller's to keep and change. At the clean end it
   * fails with `Cause.Done`. A pull that is interrupted while it waits loses nothing. One that is interrupted in the
   * moment in which it has succeeded loses the bytes that it took.
   */
  readonly pull: Pull.Pull<Chunks, ConnectionError>
  /**
   * Writes the whole chunk. Writes of several fibers go one after another. Leave the bytes as they are until it
   * succeeds. Success means that a bounded buffer has accepted them, not that they were sent. A write that is
   * interrupted when part of it was accepted fails the connection.
   */
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, ConnectionError>
  /** As `write`, for a batch. */
  readonly writeAll: (chunks: Chunks) => Effect.Effect<void, ConnectionError>
  /** Waits until the kernel has everything that was written. */
  readonly flush: Effect.Effect<void, ConnectionError>
  /** Flushes, then ends this side's direction. Reading goes on where the stack has a half close. */
  readonly end: Effect.Effect<void, ConnectionError>
  /**
   * Succeeds when nothing can be read or written any more: both sides have ended and all was read, the connection
   * broke, it was destroyed or taken apart, or its scope was closed. The account says which, and how many bytes were
   * carried. Only a reader notices a peer that leaves with a FIN but without a goodbye.
   */
  readonly closed: Effect.Effect<Link.Account>
  /** Whether each side can go on writing after the other has ended. */
  readonly halfClose: boolean
  /** The number by which events name it. A Multiserver numbers its connections from 1; 0 is one within a stack. */
  readonly id: number
  /** The peer's address, as it was reached, with the keys that it has proved. Never contains a seed. */
  readonly remote: Address
  readonly peer: Peer
  /** Where the peer comes from, as far as the transport knows: an IP, for example, or a key. */
  readonly source: string | undefined
  /** The value that `authorize` gave for the peer, as `Option.some`. `authorizedAs` gives it a type. */
  readonly authorized: unknown
  /**
   * Bytes that both ends of this session have and no other session has: for binding something else to this session.
   * `undefined` where no protocol of the stack provides them.
   */
  readonly binding: Uint8Array | undefined
}

const TypeId = "~effect-multiserver/Connection"

/**
 * Whether the value is a connection that this package has made.
 *
 * @category guards
 * @since 0.1.0
 */
export const isConnection = (value: unknown): value is Connection => Predicate.hasProperty(value, TypeId)

/** A connection over a port. Its reader and writer are private (`#`), so that a copy of it can't reach them. */
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
  readonly id: number
  readonly remote: Address
  readonly peer: Peer
  readonly source: string | undefined
  readonly authorized: unknown
  readonly binding: Uint8Array | undefined

  constructor(link: Link.Link, leaving: Link.Leaving, id: number, deadlines?: Link.CloseDeadlines) {
    const { port } = link
    const reader = new Reader(leaving)
    const writer = new Writer(leaving)
    this.#reader = reader
    this.#writer = writer
    // All closures are made in this one function, so that they share one context.
    this.pull = Effect.callback((resume) => reader.wait(resume))
    this.write = (chunk) => writer.write(chunk)
    this.writeAll = (chunks) => writer.writeAll(chunks)
    this.flush = new Flush(writer)
    this.end = new End(writer)
    this.closed = new Closed(reader)
    this.halfClose = port.halfClose
    this.id = id
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
    // Something that only inherits from a connection has none of its own.
    if (!(#reader in this)) return "closed"
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
 * Makes the connection of a finished stack, which has only one. `id` is its number, and `deadlines` are those that it
 * shares with other connections of its Multiserver when they close together.
 *
 * @category constructors
 * @since 0.1.0
 */
export const onTop = (link: Link.Link, id = 0, deadlines = new Link.CloseDeadlines(defaults.close)): Connection =>
  new Made(link, link.leaving, id, deadlines)

/**
 * Makes a connection within a stack, for a transform that works with effects. The transform reads and writes it. It is
 * left together with the rest of its stack.
 *
 * @category constructors
 * @since 0.1.0
 */
export const within = (link: Link.Link): Connection => new Made(link, Link.inner(link), 0)

/**
 * Makes a link from effects, for foreign byte streams. Between them are a port with bounded buffers and two fibers, of
 * which one reads and one writes. The fibers end when the goodbye has left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromEffects = (effects: Effects & Link.Who): Effect.Effect<Link.Link, never, Scope.Scope> => {
  const port = new EffectsPort(effects)
  const { authorized, binding, peer, remote, source } = effects
  return Effect.tap(Link.make(port, { peer, remote, source, authorized, binding }), (link) => pumped(link, port))
}

/**
 * As `fromEffects`, on top of another link. Transforms use `Transform.fromConnection`, which is made of it.
 *
 * @category constructors
 * @since 0.1.0
 */
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
 * Turns a connection into a link again, for a transport that runs over one. The connection is consumed: from now on it
 * fails with `LocallyClosed`. One that is wrapped by code of your own has no ports: its link is made from its effects.
 *
 * @category conversions
 * @since 0.1.0
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
 * the same methods) can't be destroyed: it ends with the scope of the connection inside.
 *
 * @category combinators
 * @since 0.1.0
 */
export const destroy = (connection: Connection): Effect.Effect<void> =>
  Effect.sync(() => {
    const reader = Made.reader(connection)
    // After `toLink` or the end of its scope, the stack is no longer this connection's to end.
    if (reader?.isShut === false) reader.leaving.destroy()
  })

/**
 * Fails when the connection breaks, even if nobody reads or writes. As with `closed`, some breaks are noticed only by a
 * reader. After a clean end it never completes. It fails at once, although bytes that arrived before the break may
 * still be unread: a reader gets those first, and then the error.
 *
 * @category accessors
 * @since 0.1.0
 */
export const broken = (connection: Connection): Effect.Effect<never, ConnectionError> =>
  Effect.flatMap(connection.closed, ({ tag }) =>
    // A flush that has nothing to do fails with the error of the connection.
    tag === "end" || tag === "closed" ? Effect.never : Effect.andThen(connection.flush, Effect.never)
  )

/**
 * The value that `authorize` gave for the peer, if it is of this kind: `authorizedAs(connection, Schema.is(User))`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const authorizedAs = <A>({ authorized }: Connection, is: (value: unknown) => value is A): Option.Option<A> =>
  is(authorized) ? Option.some(authorized) : Option.none()

// -----------------------------------------------------------------------------
// views
// -----------------------------------------------------------------------------

/**
 * What arrives, as a stream that ends at the peer's goodbye.
 *
 * @category conversions
 * @since 0.1.0
 */
export const stream = (connection: Connection): Stream.Stream<Uint8Array, ConnectionError> =>
  Stream.fromPull(Effect.succeed(connection.pull))

/**
 * Calls `use` with each chunk until the clean end. The chunk is borrowed, which saves a buffer for each read: `use` may
 * read it and write into it, but only until it returns. For backpressure, return an effect: nothing is read until that
 * is done.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { Connection, Memory, Multiserver } from "effect-multiserver"
 *
 * const program = Effect.gen(function* () {
 *   const listener = yield* Multiserver.listen("memory:numbers")
 *   yield* Effect.forkScoped(listener.run(({ write }) => write(Uint8Array.of(1, 2, 3))))
 *   let sum = 0
 *   yield* Connection.forEachChunk(yield* Multiserver.dial(listener.addresses()), (chunk) => {
 *     for (const byte of chunk) sum += byte
 *   })
 *   console.log(sum) // 6
 * })
 * const Live = Multiserver.layer(["memory"]).pipe(Layer.provide(Memory.layer()))
 * await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Live)))
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const forEachChunk = <E = never, R = never>(
  connection: Connection,
  use: Use<E, R>
): Effect.Effect<void, ConnectionError | E, R> =>
  Made.reader(connection)?.forEachChunk(use) ??
  Stream.runForEach(stream(connection), (chunk) => Effect.suspend(() => use(chunk) ?? Effect.void))

/**
 * Writes to `to` what arrives from `from`, with backpressure, until the clean end of `from`. It does not end `to`. It
 * fails when either connection breaks. That `to` is broken is noticed even while nothing arrives.
 *
 * @category combinators
 * @since 0.1.0
 */
export const forward = (from: Connection, to: Connection): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    const writer = Made.writer(to)
    const copied = forEachChunk(from, (chunk) =>
      writer === undefined ? to.write(new Uint8Array(chunk)) : writer.writeBorrowed(chunk)
    )
    return Effect.raceFirst(copied, broken(to))
  })

/**
 * As `writeAll`, and gives the chunks away: don't use their memory again, even if it fails. Over the bare transport
 * `port`, a chunk that is all of its `ArrayBuffer` moves to the other context without a copy, if it has at most 66,560
 * bytes. Chunks of less than 16 KiB may be copied together instead.
 *
 * @category combinators
 * @since 0.1.0
 */
export const give = (connection: Connection, chunks: Chunks): Effect.Effect<void, ConnectionError> =>
  Made.writer(connection)?.giveAll(chunks) ?? connection.writeAll(chunks)

/**
 * A sink that writes its input, and then ends this side of the connection.
 *
 * @category conversions
 * @since 0.1.0
 */
export const sink = (connection: Connection): Sink.Sink<void, Uint8Array, never, ConnectionError> =>
  Sink.forEachArray((chunks: Chunks) => connection.writeAll(chunks)).pipe(Sink.mapEffect(() => connection.end))
