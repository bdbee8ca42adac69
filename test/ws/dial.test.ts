/** Dialing a WebSocket while Effect lets others run between any two of the dial's operations. */
import type * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Multiserver from "../../src/Multiserver.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { served, until } from "../support/servers.ts"
import { httpPort, httpServer, portOf } from "./plain.ts"
import { multiserver } from "./support.ts"

/** By default a fiber lets others run after 2,048 operations. At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 18 }, (_, i) => i + 3)

describe("a header that is none", () => {
  it("is told when the layer is made, also when it is the origin", () => {
    assert.throws(() => WebSocket.layer({ origin: "https://page.example\n" }), /origin/)
    assert.throws(() => WebSocket.layer({ headers: { "x-a": "\n" } }), /x-a/)
  })

  it.live("leaves no socket open when it is found out at the dial", () =>
    Effect.gen(function* () {
      const headers: Record<string, string> = {}
      const sockets = new Set<net.Socket>()
      let connected = 0
      const server = yield* httpServer(() => {})
      server.on("connection", (socket) => {
        connected++
        sockets.add(socket)
        socket.on("close", () => sockets.delete(socket))
      })
      const dial = Multiserver.dial(`ws://127.0.0.1:${httpPort(server)}`).pipe(
        Effect.scoped,
        Effect.exit,
        Effect.provide(Multiserver.layer(["ws"]).pipe(Layer.provide(WebSocket.layer({ headers }))))
      )
      // Behind the layer's back.
      headers["x-a"] = "\n"
      for (let i = 0; i < 5; i++) assert.isTrue(Exit.hasDies(yield* dial))
      yield* until(() => connected === 5 && sockets.size === 0)
    }).pipe(Effect.scoped)
  )
})

describe("a dial of ws", () => {
  it.live("hears that it is open, or that it failed, wherever its fiber lets others run", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", () => Effect.never)
      for (const operations of sweep) {
        const dial = (target: string) =>
          Multiserver.dial(target).pipe(
            Effect.scoped,
            Effect.match({
              onSuccess: () => "open",
              onFailure: (error) => (error._tag === "DialError" ? error.reason._tag : error._tag)
            }),
            Effect.provideService(Scheduler.MaxOpsBeforeYield, operations)
          )
        assert.strictEqual(yield* dial(String(address)), "open", `${operations} operations`)
        assert.strictEqual(yield* dial(`ws://127.0.0.1:${portOf(address)}/nowhere`), "Unreachable", `${operations}`)
        assert.strictEqual(yield* dial("ws://127.0.0.1:1"), "Refused", `${operations}`)
      }
    }).pipe(Effect.provide(multiserver()))
  )
})
