/**
 * A connection as Node's `stream.Duplex`. For Node only.
 *
 * `end()` says that all was said, and reading goes on. `destroy()`, and an error on the way, ends the connection at once
 * without a goodbye. The error of a broken connection is its `ConnectionError`. The stream is destroyed with the scope: wait
 * for `finish` before, because bytes that the stream still holds by then take the goodbye with them.
 */
import { Duplex } from "node:stream"
import { isReadonlyArrayNonEmpty } from "effect/Array"
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import type { Chunks, Connection } from "../Connection.ts"
import * as View from "../internal/view.ts"

class ConnectionDuplex extends Duplex {
  private readonly connection: Connection
  private readonly view: View.View
  /** Whether the reader wants more. */
  private readonly demand = Latch.makeUnsafe(false)
  private scopeClosed = false

  constructor(connection: Connection, view: View.View) {
    super()
    this.connection = connection
    this.view = view
    view.run(this.reading, (outcome) => {
      if (Result.isFailure(outcome)) this.destroy(outcome.failure)
    })
  }

  /** One fiber reads, so that chunks stay in order whenever `_read` is called. */
  private get reading(): Effect.Effect<void, Error> {
    return this.demand.whenOpen(this.view.read).pipe(
      Effect.flatMap((chunks) => {
        this.demand.closeUnsafe()
        return chunks === undefined ? this.view.ended(this.push(null)) : Effect.void
      })
    )
  }
}
