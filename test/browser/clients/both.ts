/** A page that dials with shs and with noise. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { BrowserMultiserver, Identity, Multiserver, Noble } from "effect-multiserver/browser"

const Live = BrowserMultiserver.layerNoDeps().pipe(Layer.provide(Identity.layerEphemeral), Layer.provide(Noble.layer))

export const said = (address: string): Promise<ReadonlyArray<Uint8Array>> =>
  Multiserver.dial(address).pipe(
    Effect.flatMap((connection) => Effect.andThen(connection.end, connection.pull)),
    Effect.scoped,
    Effect.provide(Live),
    Effect.runPromise
  )
