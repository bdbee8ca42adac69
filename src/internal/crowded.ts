/** Whether many handshakes are pending where a connection arrived: then nothing is computed for a peer ahead of need. */
import * as Context from "effect/Context"

export const Crowded: Context.Reference<() => boolean> = Context.Reference("effect-multiserver/Crowded", {
  defaultValue: (): (() => boolean) => () => false
})
