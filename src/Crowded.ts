/**
 * Whether a listener has many handshakes pending. A transform asks this before it computes something in advance.
 */
import * as Context from "effect/Context"

/** The listener provides this to each inbound handshake. While it answers `true`, nothing is to be computed early. */
export const Crowded: Context.Reference<() => boolean> = Context.Reference("effect-multiserver/Crowded", {
  defaultValue: (): (() => boolean) => () => false
})
