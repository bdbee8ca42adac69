/** Who is with one listener. */
import * as Latch from "effect/Latch"
import type { Leaving } from "../Link.ts"
import type { Arrival } from "./arrival.ts"

export class Roster {
  /** The newcomers whose handler has not begun. */
  readonly arriving = new Set<Arrival>()
  /** The connections that a handler has. */
  readonly served = new Set<Leaving>()
  /** Open since the listener began to stop. */
  readonly draining = Latch.makeUnsafe(false)
  stopping = false
  /** Open since nobody is left. */
  readonly stopped = Latch.makeUnsafe(false)
}
