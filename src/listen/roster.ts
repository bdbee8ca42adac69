/** The newcomers and the connections of one listener, and whether it is stopping. */
import * as Latch from "effect/Latch"
import type { Leaving } from "../Link.ts"
import type { Arrival } from "./arrival.ts"

export class Roster {
  /** The newcomers whose handler has not begun. */
  readonly arriving = new Set<Arrival>()
  /** The connections that are with the handler. */
  readonly served = new Set<Leaving>()
  /** Opens when the listener begins to stop. */
  readonly draining = Latch.makeUnsafe(false)
  stopping = false
  /** Opens when the listener has stopped and no connection is left. */
  readonly stopped = Latch.makeUnsafe(false)
}
