/**
 * Each view of a connection, driven in the same words: what was written is acknowledged, and what arrives is read as it
 * comes.
 */
import type { Duplex } from "node:stream"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import { toDuplex } from "../../src/bridge/Duplex.ts"
import { toSocket } from "../../src/bridge/MultiserverSocket.ts"
import { type Callback, type End, type PullStream, toPullStream } from "../../src/bridge/PullStream.ts"
import { toWebStreams } from "../../src/bridge/WebStream.ts"
import * as Connection from "../../src/Connection.ts"

/** One end, in the words of its view. Nothing here fails with a type of its own: a failure is the view's. */
export interface Driver {
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, unknown>
  readonly end: Effect.Effect<void, unknown>
  /** Some bytes, or nothing at the clean end. */
  readonly read: Effect.Effect<Uint8Array | undefined, unknown>
}

export type Open = (connection: Connection.Connection) => Effect.Effect<Driver, unknown, Scope.Scope>

/** All that is in a batch, as one chunk. */
const joined = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(chunks))

const tryPromise = <A>(run: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: run, catch: (error) => error })

/** The connection as it is. */
export const plain: Open = (connection) =>
  Effect.succeed({
    write: connection.write,
    end: connection.end,
    read: connection.pull.pipe(
      Effect.map(joined),
      Effect.catchIf(Cause.isDone, () => Effect.undefined)
    )
  })

/** `Connection.stream` and `Connection.sink`. */
export const stream: Open = (connection) =>
  Effect.gen(function* () {
    const outgoing = yield* Queue.unbounded<Uint8Array, Cause.Done>()
    yield* Effect.forkScoped(Effect.ignore(Stream.run(Stream.fromQueue(outgoing), Connection.sink(connection))))
    const pull = yield* Stream.toPull(Connection.stream(connection))
    return {
      write: (chunk) => Effect.asVoid(Queue.offer(outgoing, chunk)),
      end: Effect.asVoid(Queue.end(outgoing)),
      read: pull.pipe(
        Effect.map(joined),
        Effect.catchIf(Cause.isDone, () => Effect.undefined)
      )
    }
  })

/** `Connection.forEachChunk`, which hands what it borrows to a queue. */
export const forEachChunk: Open = (connection) =>
  Effect.gen(function* () {
    const incoming = yield* Queue.unbounded<Uint8Array, unknown>()
    const each = Connection.forEachChunk(connection, (chunk) => {
      Queue.offerUnsafe(incoming, new Uint8Array(chunk))
    })
    yield* Effect.forkScoped(
      Effect.matchCauseEffect(each, {
        onSuccess: () => Queue.end(incoming),
        onFailure: (cause) => Queue.failCause(incoming, cause)
      })
    )
    return {
      write: connection.write,
      end: connection.end,
      read: Effect.catchIf(Queue.take(incoming), Cause.isDone, () => Effect.undefined)
    }
  })

const nodeCallback = (start: (done: (error?: Error | null) => void) => void) =>
  Effect.callback<void, unknown>((resume) =>
    start((error) => resume(error === undefined || error === null ? Effect.void : Effect.fail(error)))
  )

export const driveDuplex = (duplex: Duplex): Driver => {
  // In Node an error needs a listener. The iterator tells of it too.
  duplex.on("error", () => {})
  const iterator = duplex.iterator({ destroyOnReturn: false })
  return {
    write: (chunk) => nodeCallback((done) => duplex.write(chunk, done)),
    end: nodeCallback((done) => duplex.end(done)),
    read: Effect.map(
      tryPromise(() => iterator.next()),
      ({ value }) => value
    )
  }
}

export const duplex: Open = (connection) => Effect.map(toDuplex(connection), driveDuplex)

export const webStreams: Open = (connection) =>
  Effect.map(toWebStreams(connection), ({ readable, writable }) => {
    const reader = readable.getReader()
    const writer = writable.getWriter()
    return {
      write: (chunk) => tryPromise(() => writer.write(chunk)),
      end: tryPromise(() => writer.close()),
      read: Effect.map(
        tryPromise(() => reader.read()),
        ({ value }) => value
      )
    }
  })

/** A source that hands out what is pushed to it, and tells when it is asked for more. */
export const pushable = () => {
  const items: Array<{ readonly chunk: Uint8Array; readonly done: (error: End) => void }> = []
  let given: ((error: End) => void) | undefined
  let asking: Callback<Uint8Array> | undefined
  let ended = false
  const serve = () => {
    if (asking === undefined || (items.length === 0 && !ended)) return
    const callback = asking
    asking = undefined
    const item = items.shift()
    given = item?.done
    if (item === undefined) callback(true)
    else callback(null, item.chunk)
  }
  return {
    push: (chunk: Uint8Array, done: (error: End) => void) => {
      items.push({ chunk, done })
      serve()
    },
    end: () => {
      ended = true
      serve()
    },
    source: (abort: End, callback: Callback<Uint8Array>) => {
      given?.(abort)
      given = undefined
      if (abort) return callback(abort)
      asking = callback
      serve()
    }
  }
}

export const readPullStream = (stream: PullStream): Effect.Effect<Uint8Array | undefined, unknown> =>
  Effect.callback((resume) =>
    stream.source(null, (end, data) => {
      if (end === true) resume(Effect.undefined)
      else resume(end ? Effect.fail(end) : Effect.succeed(data))
    })
  )

export const pullStream: Open = (connection) =>
  Effect.map(toPullStream(connection), (stream) => {
    const pushed = pushable()
    stream.sink(pushed.source)
    return {
      write: (chunk) =>
        Effect.callback<void, unknown>((resume) =>
          pushed.push(chunk, (error) => resume(error ? Effect.fail(error) : Effect.void))
        ),
      end: Effect.sync(() => pushed.end()),
      read: readPullStream(stream)
    }
  })

const isEnd = (error: Socket.SocketError) => error.reason._tag === "SocketCloseError" && error.reason.code === 1000

export const socket: Open = (connection) =>
  Effect.gen(function* () {
    const view = yield* toSocket(Effect.succeed(connection))
    const writer = yield* view.writer
    const pull = yield* Socket.readerBytes(view)
    return {
      write: writer.write,
      end: writer.write(new Socket.CloseEvent()),
      read: pull.pipe(
        Effect.map(joined),
        Effect.catchIf(isEnd, () => Effect.undefined)
      )
    }
  })

/** Every view that is an end: `relay` and `forward` stand between two. */
export const views = { plain, stream, forEachChunk, duplex, webStreams, pullStream, socket }
