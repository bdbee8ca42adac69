/** One record for each connection's end, and what is made of it. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Scope from "effect/Scope"
import type * as Address from "../src/Address.ts"
import * as Events from "../src/Events.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Policy from "../src/Policy.ts"
import { echo, pattern, protocols, readAll, served, turn, turns, until } from "./support/servers.ts"

const portOf = (address: Address.Address | undefined) =>
  address?.transport._tag === "net" ? address.transport.port : 0

const exchange = (address: Multiserver.Target) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.andThen(connection.write(pattern(1000)), connection.end)
      assert.strictEqual((yield* readAll(connection)).length, 1000)
    })
  )

const send = (port: number, bytes: Uint8Array) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("error", () => {}).resume()
    socket.on("close", () => resume(Effect.void))
    socket.end(bytes)
  })

const speaking = (...sinks: ReadonlyArray<Events.Sink>) =>
  Multiserver.layer(["net~shs"]).pipe(
    Layer.provide(protocols()),
    Layer.provide([Events.layer(...sinks), Limits.layer({ exemptLoopback: false, sourceRate: 4 })])
  )

describe("events", () => {
  it.live("tell once of each connection's end: who, where, how far, how much and how long", () => {
    const events: Array<Events.Event> = []
    const record: Events.Sink = (event) => Effect.sync(() => void events.push(event))
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      yield* exchange(address as Address.Address)
      yield* send(portOf(address), pattern(64))
      yield* send(portOf(address), pattern(10))
      const ended = () =>
        events.filter(
          (event) => event._tag === "HandshakeFailed" || (event._tag === "Closed" && event.role === "listen")
        )
      yield* until(() => ended().length >= 3)
      yield* turns
      const ends = ended()
      const common = { role: "listen", stack: "net~shs", source: "127.0.0.1" }
      const expected = [
        { ...common, _tag: "Closed", tag: "end", phase: "open", bytesRead: 1000, bytesWritten: 1000 },
        { ...common, _tag: "HandshakeFailed", protocol: "shs", phase: "hello", bytesRead: 64, bytesWritten: 0 },
        { ...common, _tag: "HandshakeFailed", protocol: "shs", phase: "hello", bytesRead: 10, bytesWritten: 0 }
      ]
      assert.strictEqual(ends.length, 3)
      for (const [i, each] of expected.entries()) assert.deepInclude({ ...ends[i] }, each)
      for (const event of ends) {
        assert.isTrue("millis" in event && event.millis >= 0 && event.millis < 60_000)
        assert.isTrue("remote" in event && event.remote.startsWith("net:127.0.0.1:"))
      }
    }).pipe(Effect.provide(speaking(record)))
  })

  it.live("have one number for each connection, as it has itself: from 1, whoever dialed", () => {
    const told: Array<Events.Event> = []
    const numbered = (tag: string) => told.flatMap((event) => (event._tag === tag && "id" in event ? [event.id] : []))
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      const ids = yield* Effect.replicateEffect(
        Effect.scoped(Effect.map(Multiserver.dial(address as Address.Address), ({ id }) => id)),
        2
      )
      yield* until(() => numbered("Closed").length === 4)
      const both = { Connected: numbered("Connected").sort(), Closed: numbered("Closed").sort() }
      assert.deepStrictEqual(both, { Connected: [1, 2, 3, 4], Closed: [1, 2, 3, 4] })
      const dialed = told.flatMap((event) => (event._tag === "Connected" && event.role === "dial" ? [event.id] : []))
      assert.deepStrictEqual(ids, dialed)
    }).pipe(
      Effect.provide(
        Multiserver.layer(["net~shs"]).pipe(
          Layer.provide(protocols()),
          Layer.provide(Events.layer((event) => Effect.sync(() => void told.push(event))))
        )
      )
    )
  })

  // Virtual time, in which a fifth comes within the second of the four before it.
  it.live.each(["memory:m", "net:127.0.0.1:0"])(
    "call it an end when both have said goodbye and the first is gone before it has the other's: %s",
    (target) => {
      const told: Array<Events.Event> = []
      const layer = Multiserver.layer(["memory~shs", "net~shs"]).pipe(
        Layer.provide(protocols()),
        Layer.provide(Events.layer((event) => Effect.sync(() => void told.push(event))))
      )
      return Effect.gen(function* () {
        const [address] = yield* served(`${target}~shs`, echo)
        // It says goodbye and waits for nobody.
        yield* Effect.scoped(Multiserver.dial(address as Address.Address))
        const closed = () => told.flatMap((event) => (event._tag === "Closed" ? [`${event.role} ${event.tag}`] : []))
        yield* until(() => closed().length === 2)
        assert.deepStrictEqual(closed().sort(), ["dial closed", "listen end"])
      }).pipe(Effect.provide(layer))
    }
  )
})

describe("a sink that fails", () => {
  const defect = new Error("a sink's own fault")
  const bad: ReadonlyArray<readonly [string, Events.Sink]> = [
    [
      "throws",
      () => {
        throw defect
      }
    ],
    ["dies", () => Effect.die(defect)],
    ["dies later", () => Effect.andThen(turn, Effect.die(defect))],
    ["interrupts itself", () => Effect.interrupt],
    ["fails, whatever its type says", () => Effect.fail(defect) as unknown as Effect.Effect<void>]
  ]
  const stacks = Multiserver.layer(["memory~shs", "memory"]).pipe(Layer.provide(protocols()))
  const denyBare = Layer.succeed(Policy.Policy, { ...Policy.allowAll, mayConnect: () => false })
  const until = (condition: () => boolean) => Effect.repeat(turn, { until: () => condition() })

  for (const [how, sink] of bad) {
    it.live(`ends nothing else, and is logged once for each event: it ${how}`, () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const logged: Array<string> = []
        const counting: Events.Sink = (event) => {
          heard.push(event._tag)
          return sink(event)
        }
        const logger = Logger.make(({ logLevel, message }) => {
          if (logLevel === "Error") logged.push(String(message))
        })
        yield* Effect.gen(function* () {
          const [address] = yield* served("memory:m~shs", echo)
          yield* exchange(address as Address.Address)
          // An address that fails, then one that doesn't.
          yield* exchange(["memory:nobody", String(address)])
          yield* Effect.flip(Multiserver.dial("memory:nobody"))
          // The closed events of the listener's side come last.
          yield* until(() => heard.filter((event) => event === "Closed").length === 4)
        }).pipe(
          Effect.provide(stacks.pipe(Layer.provide(Events.layer(counting)))),
          Effect.provide(Logger.layer([logger]))
        )
        assert.deepStrictEqual(heard.toSorted(), [
          ...Array.from({ length: 4 }, () => "Closed"),
          ...Array.from({ length: 4 }, () => "Connected"),
          "DialFailed",
          "Fallback"
        ])
        assert.strictEqual(logged.length, heard.length)
        assert.include(logged[0], "sink")
      })
    )

    it.live(`loses no refusal that comes later: it ${how}`, () =>
      Effect.gen(function* () {
        let refused = 0
        const counting: Events.Sink = (event) => {
          if (event._tag === "Refused") refused += event.count
          return event._tag === "Refused" ? sink(event) : Effect.void
        }
        yield* Effect.gen(function* () {
          yield* served("memory:m", echo)
          for (let i = 1; i <= 20; i++) {
            yield* Effect.flip(Effect.scoped(Multiserver.dial("memory:m")))
            yield* until(() => refused === i)
          }
        }).pipe(
          Effect.provide(stacks.pipe(Layer.provide([Events.layer(counting), denyBare]))),
          Effect.provide(Logger.layer([]))
        )
      })
    )

    it.live(`keeps nothing from the other sinks: it ${how}`, () =>
      Effect.gen(function* () {
        const heard: Array<string> = []
        const good: Events.Sink = (event) => Effect.sync(() => void heard.push(event._tag))
        yield* Effect.flip(Multiserver.dial("memory:nobody")).pipe(
          Effect.provide(stacks.pipe(Layer.provide(Events.layer(sink, good)))),
          Effect.provide(Logger.layer([]))
        )
        assert.deepStrictEqual(heard, ["DialFailed"])
      })
    )
  }

  for (const [how, sink] of [
    ["waits", () => Effect.never],
    ["waits and can't be interrupted", () => Effect.uninterruptible(Effect.never)]
  ] as const) {
    it.live(`that ${how} holds up no dial, no socket and no stop, and is told of once`, () =>
      Effect.gen(function* () {
        const logged: Array<string> = []
        const live = Multiserver.layer(["net~shs"]).pipe(
          Layer.provide(protocols()),
          Layer.provide([Events.layer(sink), Limits.layer({ close: Duration.millis(50), grace: Duration.millis(50) })])
        )
        yield* Effect.gen(function* () {
          const scope = yield* Scope.make()
          const listener = yield* Scope.provide(Multiserver.listen("net:127.0.0.1:0~shs"), scope)
          yield* Effect.forkIn(listener.run(echo), scope)
          const [address] = listener.addresses()
          // Garbage: each is closed before its event has been heard.
          yield* Effect.forEach(Array.from({ length: 20 }), () => send(portOf(address), pattern(64)), {
            concurrency: "unbounded"
          })
          yield* exchange(address as Address.Address)
          yield* Scope.close(scope, Exit.void)
        }).pipe(
          Effect.provide(live),
          Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(String(message)))]))
        )
        const late = logged.filter((line) => line.includes("took longer than 50 ms"))
        assert.lengthOf(late, 1)
      })
    )
  }

  it.live("that doesn't come to an end is interrupted with the dial, and then nothing is logged", () =>
    Effect.gen(function* () {
      const logged: Array<unknown> = []
      const heard = yield* Deferred.make<void>()
      const sink: Events.Sink = (event) =>
        event._tag === "Connected" && event.role === "dial"
          ? Effect.andThen(Deferred.succeed(heard, undefined), Effect.never)
          : Effect.void
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:m", echo)
        const dial = yield* Effect.forkChild(exchange(address as Address.Address))
        yield* Deferred.await(heard)
        yield* Fiber.interrupt(dial)
      }).pipe(
        Effect.provide(stacks.pipe(Layer.provide(Events.layer(sink)))),
        Effect.provide(Logger.layer([Logger.make(({ message }) => void logged.push(message))]))
      )
      assert.deepStrictEqual(logged, [])
    })
  )
})
