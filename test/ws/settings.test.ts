/** Settings of ws and wss that can't be obeyed: each is an error that names it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Multiserver from "../../src/Multiserver.ts"
import * as BrowserWebSocket from "../../src/ws/BrowserWebSocket.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { multiserver } from "./support.ts"

/** Nothing is above the first, so that it would be no bound. */
const numbers = [Number.NaN, 0, -1]

describe("a bound that is not more than 0", () => {
  it.each(numbers)("is told when the layer is made, of browsers and of Node: %s", (number) => {
    for (const name of ["maxUnread", "maxUnheard"]) {
      for (const layer of [BrowserWebSocket.layer, BrowserWebSocket.layerSecure]) {
        assert.throws(() => layer({ [name]: number }), RangeError, `${name} can't be ${number}`)
      }
    }
    // A duration that is no number is 0 to Effect.
    const told = { maxMessage: number, ping: number || 0, upgradeTimeout: number || 0 }
    for (const [name, value] of Object.entries(told)) {
      for (const layer of [WebSocket.layer, WebSocket.layerSecure]) {
        assert.throws(() => layer({ [name]: number }), RangeError, `${name} can't be ${value}`)
      }
    }
  })

  it("may be Infinity, which is none", () => {
    const none = Number.POSITIVE_INFINITY
    BrowserWebSocket.layer({ maxUnread: none, maxUnheard: none })
    WebSocket.layer({ maxMessage: none, ping: none, upgradeTimeout: none })
  })
})

describe("a proxy's port that is none", () => {
  it.live.each([Number.NaN, 0, -1, 1.5, 65_536])("is told by the dial: %s", (port) =>
    Effect.gen(function* () {
      const { message, reason } = yield* Effect.flip(Effect.scoped(Multiserver.dial("ws://192.0.2.1:1")))
      assert.isTrue(reason._tag === "Proxy" && !reason.isRetryable, message)
      assert.include(message, `no HTTP proxy at 127.0.0.1:${port}: a port is 1 to 65535`)
    }).pipe(Effect.provide(multiserver({}, {}, { proxies: { ws: { host: "127.0.0.1", port } } })))
  )
})
