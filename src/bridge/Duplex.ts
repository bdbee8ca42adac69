/**
 * A connection as Node's `stream.Duplex`, and a `Duplex` as a link. For Node only.
 *
 * `end()` half closes the connection, and reading goes on. `destroy()` destroys the connection without a goodbye, and
 * so does an error of the stream. When the connection breaks, the stream fails with its `ConnectionError`. The stream
 * is destroyed when the scope closes; if it still holds bytes then, the peer gets no goodbye, so wait for `finish`
 * before. A handler that gives the stream away has to wait for `connection.closed`, which succeeds when both ends are
 * done.
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

/**
 * The view of a connection, until the scope closes.
 *
 * @category conversions
 * @since 0.1.0
 */
export const toDuplex = (connection: Connection): Effect.Effect<Duplex, never, Scope.Scope> =>
  Effect.gen(function* () {
    const view = yield* View.make(connection)
    let reading = false
    let wanted = false
    let scopeClosed = false

    const read = (): void => {
      // Node may ask again while a batch is being pushed: the next batch is read after it.
      wanted = reading
      if (reading) return
      reading = true
      view.read((outcome) => {
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
        // The listener stops and nothing more can be written to this stream: say goodbye, so that `closed` succeeds.
        else if (isDraining(error)) view.run(connection.end, () => {})
        callback(error)
      }
    })
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        scopeClosed = true
        if (!view.isOver()) duplex.destroy()
      })
    )
    return duplex
  })

/**
 * A link over a stream of bytes, for a transport over something that gives such a stream. The stream is destroyed when
 * the scope closes. Its errors break the link. The link has a half close when the stream has (`allowHalfOpen`). What is
 * read and written is copied, because the stream may hand on the memory of its writer.
 *
 * @category conversions
 * @since 0.1.0
 */
export const fromDuplex = (duplex: Duplex, who: Link.WhoOptions): Effect.Effect<Link.Link, never, Scope.Scope> =>
  Effect.suspend(() => Link.make(new DuplexPort(duplex), { peer: anonymous, ...who }))
