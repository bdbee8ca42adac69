/** A page that dials with shs, noise and noisepq. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { BrowserMultiserver, Identity, Multiserver, Noble, NobleKem } from "effect-multiserver/browser"

const Live = BrowserMultiserver.layerPostQuantumNoDeps().pipe(
  Layer.provide([Identity.layerEphemeral, NobleKem.layer]),
  Layer.provide(Noble.layer)
)

export const said = (address: string): Promise<ReadonlyArray<Uint8Array>> =>
  Multiserver.dial(address).pipe(
    Effect.flatMap((connection) => Effect.andThen(connection.end, connection.pull)),
    Effect.scoped,
    Effect.provide(Live),
    Effect.runPromise
  )
