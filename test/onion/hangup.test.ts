/**
 * A SOCKS5 proxy that hangs up as soon as it is connected to, while Effect lets others run between any two operations
 * of the dial.
 */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Onion from "../../src/onion/Onion.ts"

const sweep = Array.from({ length: 18 }, (_, i) => i + 3)

const proxy = (hangUp: (socket: net.Socket) => void) =>
  Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => hangUp(socket.on("error", () => {})))
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )

describe("a dial of onion", () => {
  it.live.each(["end", "destroy", "resetAndDestroy"] as const)("hears that the proxy hangs up by %s", (how) =>
    Effect.gen(function* () {
      const server = yield* proxy((socket) => socket[how]())
      const { port } = server.address() as net.AddressInfo
      for (const operations of sweep) {
        const error = yield* Multiserver.dial(`onion:${"b".repeat(56)}.onion:80`).pipe(
          Effect.scoped,
          Effect.flip,
          Effect.provideService(Scheduler.MaxOpsBeforeYield, operations),
          Effect.provide(
            Multiserver.layer(["onion"]).pipe(
              Layer.provide(Onion.layer({ proxies: [{ host: "127.0.0.1", port }], timeout: "10 seconds" }))
            )
          )
        )
        assert.strictEqual(error._tag === "DialError" ? error.reason._tag : error._tag, "Proxy", `${operations}`)
      }
    })
  )
})
