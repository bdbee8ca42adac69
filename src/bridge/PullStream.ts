/**
 * A connection as a pull-stream duplex, the shape that npm's multiserver hands to its users.
 *
 * The end of what the sink reads says that all was said, and the source goes on. An error there, or an abort of the
 * source, ends the connection at once without a goodbye. What breaks the connection, a `ConnectionError`, ends the
 * source and aborts what the sink reads. So does the end of the scope: a chunk that is not accepted by then takes the
 * goodbye with it. A handler that gives the view to callbacks waits for `connection.closed`, which succeeds when both
 * ends are done, and then gives its place back.
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

/** Not yet (`null`, `false`), over (`true`), or broken. */
export type End = Error | boolean | null
/** Hears the next value, or the end. */
export type Callback<A> = (end: End, data?: A) => void
/** Gives values one after another, each when it is asked for. */
export type Source<A> = (abort: End, callback: Callback<A>) => void
/** Takes all values of a source. */
export type Sink<A> = (source: Source<A>) => void

/** The fields of a multiserver stream. */
export interface PullStream {
  /** Gives `Buffer`s where the platform has them. */
  readonly source: Source<Uint8Array>
  readonly sink: Sink<Uint8Array | string>
  readonly address: string
  /** The peer's public key, when it was proved. */
  readonly remote: Uint8Array | undefined
}

const toBuffer = (bytes: Uint8Array): Uint8Array =>
  typeof Buffer === "undefined" ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const encoder = new TextEncoder()

/** The view, as long as the scope. */
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
      view.run(view.read, (outcome) => {
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
        if (!over) from(outcome.failure, () => {})
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
