/**
 * Whether a listener has many handshakes pending. A transform that could compute something in advance asks it first.
 */
import * as Context from "effect/Context"

/** Given by the listener to each inbound handshake. While it answers true, nothing is computed before it is needed. */
export const Crowded: Context.Reference<() => boolean> = Context.Reference("effect-multiserver/Crowded", {
  defaultValue: (): (() => boolean) => () => false
})
