/** WebSockets that a trusted proxy passes on, by X-Forwarded-For. */
import * as http from "node:http"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Networks from "../../src/Networks.ts"
import { sourceOf } from "../../src/ws/forwarded.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { recorder, served } from "../support/servers.ts"
import { portOf } from "./plain.ts"

const networks = (...texts: ReadonlyArray<string>) => Result.getOrThrow(Networks.parse(texts))

describe("the source of a request", () => {
  const trusted = networks("127.0.0.1", "10.0.0.0/8", "2001:db8::/32")
  const cases: ReadonlyArray<readonly [string, string | undefined, string]> = [
    ["127.0.0.1", undefined, "127.0.0.1"],
    ["127.0.0.1", "203.0.113.7", "203.0.113.7"],
    ["127.0.0.1", "203.0.113.7, 10.1.1.1", "203.0.113.7"],
    ["127.0.0.1", "198.51.100.1, 203.0.113.7, 10.1.1.1,10.2.2.2", "203.0.113.7"],
    // Who is no proxy may say what it likes.
    ["203.0.113.9", "198.51.100.1", "203.0.113.9"],
    ["127.0.0.1", "10.9.9.9, 203.0.113.7", "203.0.113.7"],
    // All are proxies: the first of them.
    ["127.0.0.1", "10.1.1.1, 10.2.2.2", "10.1.1.1"],
    ["127.0.0.1", "203.0.113.7:4711", "203.0.113.7"],
    ["127.0.0.1", "[3fff::7]:4711", "3fff::7"],
    ["127.0.0.1", "3fff::7, [2001:db8::1]", "3fff::7"],
    ["127.0.0.1", "::ffff:203.0.113.7", "203.0.113.7"],
    // A zone means nothing here, and one IP is one source however it is spelled.
    ["127.0.0.1", "203.0.113.7%a", "203.0.113.7"],
    ["127.0.0.1", "203.0.113.7%b:80", "203.0.113.7"],
    ["127.0.0.1", "fe80::7%eth0, 2001:DB8::1", "fe80::7"],
    ["127.0.0.1", "3FFF:0:0::7", "3fff::7"],
    ["127.0.0.1", "::ffff:cb00:7107", "203.0.113.7"],
    // Up to what is no IP, and no further.
    ["127.0.0.1", "198.51.100.1, unknown, 10.1.1.1", "10.1.1.1"],
    ["127.0.0.1", "198.51.100.1, , 10.1.1.1", "10.1.1.1"],
    ["127.0.0.1", "", "127.0.0.1"],
    ["127.0.0.1", `${",".repeat(10_000)}`, "127.0.0.1"]
  ]
  it.each(cases)("from %s, forwarded for %s, is %s", (peer, header, expected) => {
    const headers = header === undefined ? {} : { "x-forwarded-for": header }
    assert.strictEqual(sourceOf(peer, headers, trusted), expected)
    assert.strictEqual(sourceOf(peer, headers, Networks.empty), peer)
  })
})

/** Asks for a WebSocket and keeps it; gives the status of the answer. */
const ask = (port: number, forwarded: string) =>
  Effect.callback<number>((resume) => {
    const request = http.get({
      port,
      host: "127.0.0.1",
      headers: {
        Connection: "Upgrade",
        Upgrade: "websocket",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version": "13",
        "X-Forwarded-For": forwarded
      }
    })
    request.on("error", () => resume(Effect.succeed(0)))
    request.on("response", ({ statusCode = 0 }) => resume(Effect.succeed(statusCode)))
    request.on("upgrade", (_response, socket) => {
      socket.on("error", () => {}).resume()
      resume(Effect.succeed(101))
    })
  })

const server = (trustedProxies: Networks.Networks, events: Array<Events.Event>) =>
  Multiserver.layer(["ws"]).pipe(
    Layer.provide(WebSocket.layer({ trustedProxies })),
    Layer.provide([Limits.layer({ sourceConnections: 2, exemptLoopback: false }), recorder(events)])
  )

describe("a ws listener", () => {
  it.live("limits each source behind a trusted proxy, and not the proxy", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", (connection) => Effect.ignore(connection.pull))
      const port = portOf(address)
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* ask(port, `198.51.100.9, 203.0.113.${i}`), 101)
      assert.strictEqual(yield* ask(port, "203.0.113.3"), 101)
      assert.strictEqual(yield* ask(port, "203.0.113.3"), 503)
      const refused = events.flatMap((event) => (event._tag === "Refused" ? [[event.tag, event.source]] : []))
      assert.deepStrictEqual(refused, [["TooManyFromSource", "203.0.113.3"]])
      const sources = events.flatMap((event) => (event._tag === "Connected" ? [event.source] : []))
      assert.deepStrictEqual(sources.slice(0, 2), ["203.0.113.0", "203.0.113.1"])
    }).pipe(Effect.provide(server(networks("127.0.0.0/8"), events)))
  })

  it.live("takes one IP for one source, whatever zone a proxy writes after it", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", (connection) => Effect.ignore(connection.pull))
      const statuses = []
      for (const zone of ["%a", "%b", "%c"]) statuses.push(yield* ask(portOf(address), `203.0.113.7${zone}`))
      assert.deepStrictEqual(statuses, [101, 101, 503])
    }).pipe(Effect.provide(server(networks("127.0.0.0/8"), events)))
  })

  it.live("takes all that come through a proxy that it doesn't trust as one", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", (connection) => Effect.ignore(connection.pull))
      const statuses = []
      for (let i = 0; i < 3; i++) statuses.push(yield* ask(portOf(address), `203.0.113.${i}`))
      assert.deepStrictEqual(statuses, [101, 101, 0])
    }).pipe(Effect.provide(server(Networks.empty, events)))
  })
})
