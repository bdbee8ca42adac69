/** A page that dials with shs and with noise. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as BrowserMultiserver from "effect-multiserver/BrowserMultiserver"
import * as Noble from "effect-multiserver/crypto/Noble"
import * as Identity from "effect-multiserver/Identity"
import * as Multiserver from "effect-multiserver/Multiserver"

const Live = BrowserMultiserver.layerNoDeps().pipe(Layer.provide(Identity.layerEphemeral), Layer.provide(Noble.layer))

export const said = (address: string): Promise<ReadonlyArray<Uint8Array>> =>
  Multiserver.dial(address).pipe(
    Effect.flatMap((connection) => Effect.andThen(connection.end, connection.pull)),
    Effect.scoped,
    Effect.provide(Live),
    Effect.runPromise
  )
