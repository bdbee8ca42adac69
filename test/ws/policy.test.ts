/** What a Policy says of WebSockets. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Events from "../../src/Events.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { allowAll, Policy, type PolicyRules } from "../../src/Policy.ts"
import { echo, recorder, served } from "../support/servers.ts"
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

  it.live("refuses a source before it is upgraded", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      assert.strictEqual(yield* status(portOf(address)), 503)
      assert.deepStrictEqual(events, [
        { _tag: "Refused", stack: "ws", source: "127.0.0.1", origin: undefined, tag: "DeniedByPolicy", count: 1 }
      ])
    }).pipe(Effect.provide(speaking({ mayConnect: () => false }, events)))
  })
})
