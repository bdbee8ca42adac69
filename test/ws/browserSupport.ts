/** A Multiserver as a page has one: the platform's own WebSocket, and primitives in JavaScript. Here it is Node's. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Noble from "../../src/crypto/Noble.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Transport from "../../src/Transport.ts"
import * as BrowserWebSocket from "../../src/ws/BrowserWebSocket.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { limits } from "../support/servers.ts"

/** Node 20 has no WebSocket of its own. */
export const hasWebSocket = typeof globalThis.WebSocket === "function"
if (!hasWebSocket) console.log("NOT TESTED: the platform's own WebSocket, because this Node has none")

const stacks = ["ws~shs", "ws~noise", "ws~noauth", "ws", "wss~shs", "wss"] as const

const speaking = (
  transports: Layer.Layer<Transport.Transport<"ws"> | Transport.Transport<"wss">>,
  shs: Shs.Options = {}
) =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([transports, Shs.layer(shs), Noise.layer(shs), Noauth.layer()]),
    Layer.provideMerge(Identity.layerEphemeral),
    Layer.provide(Noble.layer),
    Layer.provide(Layer.succeed(Limits.Limits, limits))
  )

/** Dials as a page does. */
export const page = (options: BrowserWebSocket.Options = {}) =>
  speaking(Layer.merge(BrowserWebSocket.layer(options), BrowserWebSocket.layerSecure(options)))

/** Dials as a page does, and listens as Node does. */
export const both = () =>
  speaking(
    Layer.merge(
      Layer.effect(
        Transport.Transport("ws"),
        Effect.gen(function* () {
          const { dial } = yield* Effect.provide(Transport.Transport("ws"), BrowserWebSocket.layer())
          return { ...(yield* Effect.provide(Transport.Transport("ws"), WebSocket.layer())), dial }
        })
      ),
      BrowserWebSocket.layerSecure()
    )
  )
