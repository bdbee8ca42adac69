/**
 * A connection as a pull-stream duplex, the shape that npm's multiserver hands to its users.
 *
 * When what the sink reads ends, this side has said everything, and the source goes on. An error in what the sink
 * reads, or an abort of the source before the peer's end, destroys the connection without a goodbye. When the
 * connection breaks, its `ConnectionError` ends the source and aborts what the sink reads. So does the end of the
 * scope; if a chunk is not accepted by then, the peer gets no goodbye. A handler that gives the view to callbacks has
 * to wait for `connection.closed`, which succeeds when both ends are done.
 */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import type { Connection } from "../Connection.ts"
import { isDraining } from "../ConnectionError.ts"
import * as View from "./view.ts"

/**
 * Not over (`null`, `false`), over (`true`), or broken.
 *
 * @category models
 * @since 0.1.0
 */
export type End = Error | boolean | null

/**
 * Is called with the next value, or with the end.
 *
 * @category models
 * @since 0.1.0
 */
export type Callback<A> = (end: End, data?: A) => void

/**
 * Gives one value each time it is called. `abort` asks it to stop instead.
 *
 * @category models
 * @since 0.1.0
 */
export type Source<A> = (abort: End, callback: Callback<A>) => void

/**
 * Reads all values of a source.
 *
 * @category models
 * @since 0.1.0
 */
export type Sink<A> = (source: Source<A>) => void

/**
 * The fields of a stream of npm's multiserver.
 *
 * @category models
 * @since 0.1.0
 */
export interface PullStream {
  /** Gives `Buffer`s where the platform has them, and `Uint8Array`s elsewhere. */
  readonly source: Source<Uint8Array>
  readonly sink: Sink<Uint8Array | string>
  readonly address: string
  /** The peer's public key, when the handshake has proved it. */
  readonly remote: Uint8Array | undefined
}

const toBuffer = (bytes: Uint8Array): Uint8Array =>
  typeof Buffer === "undefined" ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const encoder = new TextEncoder()

/**
 * The view of a connection, until the scope closes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toPullStream = (connection: Connection): Effect.Effect<PullStream, never, Scope.Scope> =>
  Effect.gen(function* () {
    const view = yield* View.make(connection)
    const broken = Deferred.makeUnsafe<never, Error>()
    let scopeClosed = false
    let writing = false

    // ---- source ----
    const waiting: Array<Callback<Uint8Array>> = []
    let ready: Array<Uint8Array> = []
    let ended: End = null
    let reading = false

    const finish = (end: Error | true): void => {
      ended ??= end
      if (end !== true && !isDraining(end)) Deferred.doneUnsafe(broken, Effect.fail(end))
    }

    const serve = (): void => {
      while (waiting.length > 0 && (ready.length > 0 || ended !== null)) {
        const chunk = ready.shift()
        if (chunk === undefined) waiting.shift()?.(ended)
        else waiting.shift()?.(null, chunk)
      }
      if (waiting.length === 0 || reading) return
      reading = true
      view.read((outcome) => {
        reading = false
        if (Result.isFailure(outcome)) finish(outcome.failure)
        else if (outcome.success === undefined) {
          finish(true)
          view.onceBroken((error) => Deferred.doneUnsafe(broken, Effect.fail(error)))
        } else if (ended === null) ready = outcome.success.map(toBuffer)
        serve()
      })
    }

    const source: Source<Uint8Array> = (abort, callback) => {
      if (!abort) {
        waiting.push(callback)
        return serve()
      }
      if (ended === null) {
        ended = abort
        ready = []
        view.destroy()
        finish(abort === true ? view.closed() : abort)
      }
      serve()
      callback(abort)
    }

    // ---- sink ----
    const write = (data: Uint8Array | string): Effect.Effect<void, Error> => {
      const bytes = typeof data === "string" ? encoder.encode(data) : data
      if (!(bytes instanceof Uint8Array)) return Effect.fail(new TypeError("a connection carries Uint8Array"))
      writing = true
      return Effect.map(connection.write(bytes), () => {
        writing = false
      })
    }

    const sink: Sink<Uint8Array | string> = (from) => {
      let over = false
      const next: Pull.Pull<Uint8Array | string, End> = Effect.callback((resume) =>
        from(null, (end, data) => {
          if (!end) return resume(Effect.succeed(data ?? ""))
          over = true
          resume(end === true ? Cause.done() : Effect.fail(end))
        })
      )
      const copy = next.pipe(
        Effect.flatMap(write),
        Effect.forever({ disableYield: true }),
        Pull.catchDone(() => connection.end)
      )
      view.run(Effect.raceFirst(copy, Deferred.await(broken)), (outcome) => {
        if (Result.isSuccess(outcome)) return
        if (!scopeClosed && !isDraining(outcome.failure)) view.destroy()
        // What it throws here has nobody to go to.
        if (!over) Result.try(() => from(outcome.failure, () => {}))
      })
    }

    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        scopeClosed = true
        if (writing) view.destroy()
      })
    )
    const remote = connection.peer._tag === "Authenticated" ? toBuffer(connection.peer.publicKey) : undefined
    return { source, sink, address: format(connection.remote), remote }
  })
