/** What a Policy says of WebSockets. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Events from "../../src/Events.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Networks from "../../src/Networks.ts"
import { allowAll, Policy, type PolicyRules } from "../../src/Policy.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, recorder, served, until } from "../support/servers.ts"
import { portOf, status } from "./plain.ts"
import { multiserver } from "./support.ts"

const speaking = (rules: Partial<PolicyRules>, events: Array<Events.Event> = []) =>
  multiserver().pipe(Layer.provide([Layer.succeed(Policy, { ...allowAll, ...rules }), recorder(events)]))

describe("policy", () => {
  it.live("is asked for each IP that a name has, and for one that is written", () => {
    const asked: Array<string> = []
    const mayDialIp = (ip: string) => {
      asked.push(ip)
      return false
    }
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      for (const target of [String(address), String(address).replace("127.0.0.1", "localhost")]) {
        const error = yield* Effect.flip(Multiserver.dial(target))
        assert.strictEqual(error._tag === "DialError" && error.reason._tag, "DeniedByPolicy")
      }
      assert.isAtLeast(asked.length, 2)
      assert.isTrue(asked.every((ip) => ip === "127.0.0.1" || ip === "::1"))
    }).pipe(Effect.provide(speaking({ mayDialIp })))
  })

  it.live("hears in the event of the page that opened a connection, which is no part of its address", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0~shs", echo)
      const connection = yield* Multiserver.dial(address as NonNullable<typeof address>)
      yield* connection.end
      yield* Effect.flip(connection.pull)
      const connected = events.flatMap((event) =>
        event._tag === "Connected" && event.role === "listen"
          ? [[event.origin, event.remote.includes("page.example")]]
          : []
      )
      assert.deepStrictEqual(connected, [["https://page.example", false]])
    }).pipe(
      Effect.provide(multiserver({}, {}, { origin: "https://page.example" }).pipe(Layer.provide(recorder(events))))
    )
  })

  it.live("hears in an event of a page that was turned away", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      yield* Effect.flip(Multiserver.dial(address as NonNullable<typeof address>))
      const origin = "https://page.example"
      assert.deepStrictEqual(events[0], {
        _tag: "Refused",
        stack: "ws",
        source: "127.0.0.1",
        origin,
        tag: "Origin",
        count: 1
      })
    }).pipe(
      Effect.provide(multiserver({}, {}, { origin: "https://page.example" }).pipe(Layer.provide(recorder(events))))
    )
  })

  it.live("closes on a source that it denies, before a byte is read", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      assert.include((yield* Effect.flip(status(portOf(address)))).message, "hang up")
      assert.deepStrictEqual(events, [
        { _tag: "Refused", stack: "ws", source: "127.0.0.1", origin: undefined, tag: "DeniedByPolicy", count: 1 }
      ])
    }).pipe(Effect.provide(speaking({ mayConnect: () => false }, events)))
  })

  it.live("closes on who says nothing, and serves no page, to a source that it denies", () => {
    const events: Array<Events.Event> = []
    const pages: Array<string | undefined> = []
    const layer = Multiserver.layer(["ws"]).pipe(
      Layer.provide(WebSocket.layer({ handler: ({ url }, response) => void response.end(pages.push(url)) })),
      Layer.provide([Layer.succeed(Policy, { ...allowAll, mayConnect: () => false }), recorder(events)])
    )
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const says = (text: string) =>
        Effect.callback<void>((resume) => {
          const socket = net.connect(portOf(address), "127.0.0.1", () => void socket.write(text))
          socket.on("error", () => {}).on("close", () => resume(Effect.void))
        })
      yield* says("")
      yield* says("GET /private HTTP/1.1\r\nHost: localhost\r\n\r\n")
      yield* until(() => events.length === 2)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "Refused" && event.tag),
        ["DeniedByPolicy", "DeniedByPolicy"]
      )
      assert.deepStrictEqual(pages, [])
    }).pipe(Effect.provide(layer))
  })

  it.live("is asked for each source that a trusted proxy says asks for a page", () => {
    const events: Array<Events.Event> = []
    const trustedProxies = Result.getOrThrow(Networks.parse(["127.0.0.0/8"]))
    const layer = Multiserver.layer(["ws"]).pipe(
      Layer.provide(WebSocket.layer({ trustedProxies, handler: (_, response) => void response.end("page") })),
      Layer.provide([
        Layer.succeed(Policy, { ...allowAll, mayConnect: (source) => source !== "198.51.100.1" }),
        recorder(events)
      ])
    )
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const asks = (source: string, upgrade: boolean) =>
        status(portOf(address), { upgrade, headers: { "X-Forwarded-For": source } })
      assert.strictEqual(yield* asks("203.0.113.7", false), 200)
      assert.strictEqual(yield* asks("198.51.100.1", false), 403)
      assert.strictEqual(yield* asks("198.51.100.1", true), 503)
      yield* until(() => events.length === 2)
      assert.deepStrictEqual(
        events.map((event) => event._tag === "Refused" && [event.tag, event.source]),
        [
          ["DeniedByPolicy", "198.51.100.1"],
          ["DeniedByPolicy", "198.51.100.1"]
        ]
      )
    }).pipe(Effect.provide(layer))
  })
})
