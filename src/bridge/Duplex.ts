/**
 * A connection as Node's `stream.Duplex`, and a `Duplex` as a link. For Node only.
 *
 * `end()` says that all was said, and reading goes on. `destroy()` ends the connection at once without a goodbye, and
 * so does an error on the way. What breaks the connection is the stream's error, a `ConnectionError`. The stream is
 * destroyed with the scope: wait for `finish` before, because bytes that it still holds by then take the goodbye with
 * them. A handler that gives the stream away waits for `connection.closed`, which succeeds when both ends are done.
 */
import { Duplex } from "node:stream"
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Connection } from "../Connection.ts"
import { isDraining } from "../ConnectionError.ts"
import * as Link from "../Link.ts"
import { anonymous } from "../Peer.ts"
import { DuplexPort } from "./duplexPort.ts"
import * as View from "./view.ts"

/** The view, as long as the scope. */
export const toDuplex = (connection: Connection): Effect.Effect<Duplex, never, Scope.Scope> =>
  Effect.gen(function* () {
    const view = yield* View.make(connection)
    let reading = false
    let wanted = false
    let scopeClosed = false

    const read = (): void => {
      // Node may ask again while a batch is being pushed: the next one comes after it.
      wanted = reading
      if (reading) return
      reading = true
      view.run(view.read, (outcome) => {
        if (Result.isFailure(outcome)) duplex.destroy(outcome.failure)
        if (Result.isFailure(outcome) || duplex.destroyed) return
        if (outcome.success === undefined) view.onceBroken((error) => duplex.destroy(error))
        for (const chunk of outcome.success ?? [null]) duplex.push(chunk)
        reading = false
        if (wanted) read()
      })
    }

    const finish = <E>(effect: Effect.Effect<void, E>, callback: (error?: Error) => void): void =>
      view.run(effect, (outcome) => (Result.isFailure(outcome) ? callback(outcome.failure) : callback()))

    const duplex: Duplex = new Duplex({
      read,
      writev: (batch, callback) => {
        const chunks = batch.map(({ chunk }) => chunk)
        finish(isReadonlyArrayNonEmpty(chunks) ? connection.writeAll(chunks) : Effect.void, callback)
      },
      final: (callback) => finish(connection.end, callback),
      destroy: (error, callback) => {
        const over = scopeClosed || (duplex.readableEnded && duplex.writableFinished) || isDraining(error)
        if (!over || duplex.writableLength > 0) view.destroy()
        // Its listener stops, and nothing more can be written here: say goodbye, so that `closed` succeeds.
        else if (isDraining(error)) view.run(connection.end, () => {})
        callback(error)
      }
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        scopeClosed = true
        duplex.destroy()
      })
    )
    return duplex
  })

/**
 * The link over a stream of bytes, which is destroyed with the scope: for a transport over something that gives one.
 * Its errors break the link. It has a half close when the stream allows it (`allowHalfOpen`).
 */
export const fromDuplex = (
  duplex: Duplex,
  { peer = anonymous, ...where }: Omit<Link.Who, "peer"> & Partial<Pick<Link.Who, "peer">>
): Effect.Effect<Link.Link, never, Scope.Scope> =>
  Effect.suspend(() => Link.make(new DuplexPort(duplex), { peer, ...where }))
