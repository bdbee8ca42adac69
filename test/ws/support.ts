/** A Multiserver over WebSockets, with an identity of its own; its listeners have little grace. */
import * as Layer from "effect/Layer"
import * as NodeKem from "../../src/crypto/NodeKem.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as NoisePq from "../../src/noisepq/NoisePq.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { limits } from "../support/servers.ts"

/** Every WebSocket stack. `secure` is for wss, and for ws what both have. */
export const multiserver = <E = never, R = never>(
  secure: WebSocket.SecureOptions = {},
  shs: Shs.Options<E, R> = {},
  plain: WebSocket.Options = {}
) =>
  Multiserver.layer(["ws~shs", "ws~noise", "ws~noisepq", "ws~noauth", "ws", "wss~shs", "wss"]).pipe(
    Layer.provide([
      WebSocket.layer(plain),
      WebSocket.layerSecure(secure),
      Shs.layer(shs),
      Noise.layer(shs),
      NoisePq.layer(shs),
      Noauth.layer()
    ]),
    Layer.provideMerge(Identity.layerEphemeral),
    Layer.provide([Sodium.layer, NodeKem.layer]),
    Layer.provide(Layer.succeed(Limits.Limits, limits))
  )
