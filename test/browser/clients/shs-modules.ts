/** A page that dials with shs, and nothing else. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Noble from "effect-multiserver/crypto/Noble"
import * as Identity from "effect-multiserver/Identity"
import * as Multiserver from "effect-multiserver/Multiserver"
import * as Shs from "effect-multiserver/shs/Shs"
import * as BrowserWebSocket from "effect-multiserver/ws/BrowserWebSocket"

const Live = Multiserver.layerDialOnly(["ws~shs", "wss~shs"]).pipe(
  Layer.provide([BrowserWebSocket.layer(), BrowserWebSocket.layerSecure(), Shs.layerDialOnly()]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Noble.layerNoNoise)
)

export const said = (address: string): Promise<ReadonlyArray<Uint8Array>> =>
  Multiserver.dial(address).pipe(
    Effect.flatMap((connection) => Effect.andThen(connection.end, connection.pull)),
    Effect.scoped,
    Effect.provide(Live),
    Effect.runPromise
  )
