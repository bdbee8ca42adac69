/**
 * A connection as a pair of web streams, and a pair of web streams as a link.
 *
 * Closing the writable half closes the connection, and reading goes on. Aborting the writable or cancelling the
 * readable destroys the connection without a goodbye. When the connection breaks, both streams fail with its
 * `ConnectionError`. They also fail when the scope closes; if the writable still holds chunks then, the peer gets no
 * goodbye, so close it before. A handler that gives the streams away has to wait for `connection.closed`, which
 * succeeds when both ends are done.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import { type Chunks, type Connection, fromEffects } from "../Connection.ts"
import { ConnectionError, isDraining, ProtocolViolation, Reset } from "../ConnectionError.ts"
import type { Link, WhoOptions } from "../Link.ts"
import { anonymous } from "../Peer.ts"
import * as View from "./view.ts"

/**
 * The two directions of a connection.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebStreams {
  /** Reads from the connection only when it is read itself. */
  readonly readable: ReadableStream<Uint8Array>
  /** A write resolves when the connection has accepted its chunk, `ready` when it has accepted all of them. */
  readonly writable: WritableStream<Uint8Array>
}

/**
 * The view of a connection, until the scope closes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toWebStreams = (connection: Connection): Effect.Effect<WebStreams, never, Scope.Scope> =>
  Effect.gen(function* () {
    const view = yield* View.make(connection)
    const promise = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
      new Promise((resolve, reject) =>
        view.run(effect, Result.match({ onSuccess: (value) => resolve(value), onFailure: reject }))
      )
    const read = (): Promise<Chunks | undefined> =>
      new Promise((resolve, reject) => view.read(Result.match({ onSuccess: resolve, onFailure: reject })))
    const errors: Array<(error: Error) => void> = []

    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void errors.push((error) => controller.error(error)),
        pull: (controller) =>
          read().then((chunks) => {
            if (chunks === undefined) {
              controller.close()
              view.onceBroken((error) => {
                for (const fail of errors) fail(error)
              })
            } else for (const chunk of chunks) controller.enqueue(chunk)
          }),
        cancel: () => view.destroy()
      },
      { highWaterMark: 0 }
    )

    let unaccepted = 0
    const writable = new WritableStream<Uint8Array>(
      {
        start: (controller) => {
          errors.push((error) => controller.error(error))
          // The signal comes at once. `abort` of the sink would come only after a write that a stalled peer holds up.
          controller.signal.addEventListener("abort", () => {
            if (unaccepted > 0 || !isDraining(controller.signal.reason)) view.destroy()
          })
        },
        write: (chunk) =>
          chunk instanceof Uint8Array
            ? promise(connection.write(chunk)).then(() => void unaccepted--)
            : Promise.reject(new TypeError("a connection carries Uint8Array")),
        close: () => promise(connection.end)
      },
      {
        highWaterMark: 1,
        // Called once for each chunk that is written.
        size: () => {
          unaccepted++
          return 1
        }
      }
    )

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        if (unaccepted > 0) view.destroy()
        if (view.isOver()) return
        for (const error of errors) error(view.closed())
      })
    )
    return { readable, writable }
  })

/**
 * What a link over web streams can't learn from the streams.
 *
 * @category options
 * @since 0.1.0
 */
export interface FromOptions extends WhoOptions {
  /** Whether the other end can go on sending after the writable was closed. By default it can. */
  readonly halfClose?: boolean
}

/**
 * A link over a pair of web streams, for a transport over something that gives such streams. They are cancelled and
 * aborted when the scope closes. An error of either breaks the link.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromWebStreams = (
  { readable, writable }: WebStreams,
  { halfClose = true, peer = anonymous, ...where }: FromOptions
): Effect.Effect<Link, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ignore = () => {}
    // Registered before the link, so they run after it has been left.
    const writer = yield* Effect.acquireRelease(
      Effect.sync(() => writable.getWriter()),
      (own) => Effect.sync(() => own.releaseLock())
    )
    const reader = yield* Effect.acquireRelease(
      Effect.sync(() => readable.getReader()),
      (own) =>
        Effect.sync(() => {
          own.cancel().catch(ignore)
          own.releaseLock()
        })
    )
    const remote = format(where.remote)
    const promised = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({
        try: run,
        catch: (error) => {
          const code = error instanceof Error ? error.name : "UNKNOWN"
          return new ConnectionError({ remote, reason: new Reset({ code, cause: error }) })
        }
      })
    return yield* fromEffects({
      ...where,
      peer,
      halfClose,
      pull: Effect.flatMap(
        promised(() => reader.read()),
        ({ done, value }): Pull.Pull<readonly [Uint8Array], ConnectionError> => {
          if (done) return Cause.done()
          // A copy, because a stream may hand on memory that its writer keeps, and codecs open frames where they lie.
          if (value instanceof Uint8Array) return Effect.succeed([new Uint8Array(value)])
          const reason = new ProtocolViolation({ detail: "the stream gives something else than bytes" })
          return Effect.fail(new ConnectionError({ remote, reason }))
        }
      ),
      writeAll: (chunks) =>
        Effect.forEach(chunks, (chunk) => promised(() => writer.ready.then(() => writer.write(chunk))), {
          discard: true
        }),
      end: promised(() => writer.close()),
      destroy: () => {
        reader.cancel().catch(ignore)
        writer.abort().catch(ignore)
      }
    })
  })
