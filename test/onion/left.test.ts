/** What is left in memory of a dial through a SOCKS proxy, once it is over. */
import * as net from "node:net"
import * as v8 from "node:v8"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import { SocksClient } from "socks"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Onion from "../../src/onion/Onion.ts"
import { readAll, turn, until } from "../support/servers.ts"

const address = `onion:${"a".repeat(56)}.onion:80`

/** A proxy that answers each request with this code, or with nothing; and how many requests it has read. */
const proxy = (code: number | undefined) =>
  Effect.gen(function* () {
    const sockets = new Set<net.Socket>()
    const state = { port: 0, asked: 0, sockets }
    const server = net.createServer((socket) => {
      sockets.add(socket)
      let said = 0
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
      socket.on("data", (data) => {
        said++
        const isIsolated = data[0] === 5 && data.includes(2, 2)
        if (said === 1) return void socket.write(Uint8Array.of(5, isIsolated ? 2 : 0))
        if (data[0] === 1) return void socket.write(Uint8Array.of(1, 0))
        state.asked++
        if (code !== undefined) socket.end(Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0))
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () => Effect.sync(() => server.close())
    )
    state.port = (server.address() as net.AddressInfo).port
    return state
  })

/** How many clients there are, after everything that can be collected was. */
const clients = (): number => v8.queryObjects(SocksClient, { format: "count" })

describe("a dial through a SOCKS proxy", () => {
  it.live.each([true, false])("leaves nothing in memory, however it ended; isolated: %s", (isolate) =>
    Effect.gen(function* () {
      const refusing = yield* proxy(4)
      const granting = yield* proxy(0)
      const silent = yield* proxy(undefined)
      const through = ({ port }: { readonly port: number }) =>
        Effect.provide(
          Multiserver.dial(address),
          Multiserver.layer(["onion"]).pipe(
            Layer.provide(Onion.layer({ isolate, proxies: [{ host: "127.0.0.1", port }] }))
          )
        )
      for (let i = 0; i < 20; i++) {
        assert.strictEqual((yield* Effect.flip(Effect.scoped(through(refusing)))).reason._tag, "Proxy")
        assert.lengthOf(yield* Effect.scoped(Effect.flatMap(through(granting), readAll)), 0)
        const waiting = yield* Effect.forkChild(Effect.scoped(through(silent)))
        yield* until(() => silent.asked === i + 1)
        yield* Fiber.interrupt(waiting)
      }
      yield* until(() => [refusing, granting, silent].every(({ sockets }) => sockets.size === 0))
      // The last one may be in a register or on the stack.
      yield* turn
      yield* until(() => clients() <= 1)
    })
  )
})
