/**
 * A connection as a pair of web streams.
 *
 * Closing the writable says that all was said, and reading goes on. Aborting the writable or cancelling the readable ends the
 * connection at once, without a goodbye. A broken connection errors the streams with its `ConnectionError`. Both are errored
 * with the scope: close the writable before, because chunks that it still holds by then take the goodbye with them.
 */
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import { isDraining } from "../ConnectionError.ts"
import * as View from "../internal/view.ts"

/** The two directions of a connection. */
export interface WebStreams {
  /** Reads nothing ahead. */
  readonly readable: ReadableStream<Uint8Array>
  /** A write resolves when the connection has accepted it; `ready` when it has accepted all. */
  readonly writable: WritableStream<Uint8Array>
}

/** The view, as long as the scope. */
export const toWebStreams = (connection: Connection): Effect.Effect<WebStreams, never, Scope.Scope> =>
  Effect.gen(function* () {
    const view = yield* View.make(connection)
    const promise = <A, E>(effect: Effect.Effect<A, E>): Promise<A> =>
      new Promise((resolve, reject) =>
        view.run(effect, Result.match({ onSuccess: (value) => resolve(value), onFailure: reject }))
      )
    const errors: Array<(error: Error) => void> = []

    const readable = new ReadableStream<Uint8Array>(
      {
        start: (controller) => void errors.push((error) => controller.error(error)),
        pull: (controller) =>
          promise(view.read).then((chunks) => {
            if (chunks === undefined) controller.close()
            else for (const chunk of chunks) controller.enqueue(chunk)
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
          // Not `abort` below, which comes only after the write that a stalled peer holds up.
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
        for (const error of errors) error(view.closed())
      })
    )
    return { readable, writable }
  })
