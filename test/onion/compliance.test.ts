/** The public contract through a SOCKS5 proxy of the test's own, which leads each name to this machine. */
import * as net from "node:net"
import { describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Address from "../../src/Address.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Onion from "../../src/onion/Onion.ts"
import * as Transport from "../../src/Transport.ts"
import * as Compliance from "../../src/testing/Compliance.ts"
import { protocols } from "../support/servers.ts"

const host = `${"b".repeat(56)}.onion`

/** Relays to 127.0.0.1, at the port that is asked for; ends and resets are passed on. */
const proxy = Effect.acquireRelease(
  Effect.callback<net.Server>((resume) => {
    const server = net.createServer({ allowHalfOpen: true }, (client) => {
      client.on("error", () => {})
      client.once("data", () => {
        client.write(Uint8Array.of(5, 0))
        client.once("data", (request) => {
          client.pause()
          const port = request.readUInt16BE(request.length - 2)
          const target = net.connect({ host: "127.0.0.1", port, allowHalfOpen: true }, () => {
            client.write(Uint8Array.of(5, 0, 0, 1, 127, 0, 0, 1, 0, 0))
            client.pipe(target)
            target.pipe(client)
          })
          target.on("error", () => client.resetAndDestroy())
          target.on("close", (failed) => failed && client.resetAndDestroy())
          client.on("close", () => target.destroy())
        })
      })
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
)

/** `onion` as it is for dialing, and for listening what stands behind a hidden service. */
const layer = Layer.effect(
  Transport.Transport("onion"),
  Effect.gen(function* () {
    const { port } = (yield* proxy).address() as net.AddressInfo
    const dialing = yield* Layer.build(Onion.layer({ proxies: [{ host: "127.0.0.1", port }] }))
    const listening = yield* Layer.build(Net.layer())
    const behind = Result.getOrThrow(
      Context.get(listening, Transport.Transport("net")).listen(new Address.Net({ host: "127.0.0.1", port: 0 }))
    )
    return {
      ...Context.get(dialing, Transport.Transport("onion")),
      advertise: (section: Address.Section) =>
        section._tag === "net" ? [new Address.Onion({ host, port: section.port })] : [],
      listen: () => Result.succeed(behind)
    }
  })
)

describe("onion~shs", () => {
  const subject = {
    target: `onion:${host}:0~shs`,
    layer: Multiserver.layer(["onion~shs"]).pipe(Layer.provide([layer, protocols()])),
    authenticates: true,
    halfClose: true,
    patience: "5 minutes" as const
  }
  for (const { name, run } of Compliance.suite(subject)) it.live(name, () => run)
})
