/** Draining under load, with real sockets. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import type * as Address from "../src/Address.ts"
import * as Connection from "../src/Connection.ts"
import type * as Events from "../src/Events.ts"
import * as Limits from "../src/Limits.ts"
import type * as Listener from "../src/Listener.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as WebSocket from "../src/ws/WebSocket.ts"
import { echo, pattern, protocols, recorder, sameBytes, turn } from "./support/servers.ts"

const draining = (grace: Duration.Input, events: Array<Events.Event>, limits: Partial<Limits.LimitValues> = {}) =>
  Multiserver.layer(["net~shs", "net", "ws~shs", "ws"]).pipe(
    Layer.provide([protocols(), WebSocket.layer()]),
    Layer.provide([Limits.layer({ grace: Duration.fromInputUnsafe(grace), ...limits }), recorder(events)])
  )

/** Echoes what it borrows. */
const borrowing = (connection: Connection.Connection) =>
  Effect.andThen(
    Connection.forEachChunk(connection, (chunk) => connection.write(chunk.slice())),
    connection.end
  )

/** A listener that the test drains. */
const listening = (target: string, handler: Listener.Handler<unknown, never> = echo) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    const listener = yield* Multiserver.listen(target).pipe(Scope.provide(scope))
    yield* Effect.forkChild(listener.run(handler))
    const [address] = listener.addresses()
    return { address: address as Address.Address, drain: Scope.close(scope, Exit.void) }
  })

/** Sends until it hears the goodbye, and answers it: how many bytes had come back, all of them right. */
const stream = (connection: Connection.Connection, heard = () => {}) =>
  Effect.gen(function* () {
    const piece = pattern(50_000)
    let [bytes, right, over] = [0, true, false]
    const sending = yield* Effect.forkChild(connection.write(piece).pipe(Effect.repeat({ while: () => !over })), {
      startImmediately: true
    })
    yield* connection.pull.pipe(
      Effect.map((chunks) => {
        for (const chunk of chunks) {
          for (let from = 0; from < chunk.length; ) {
            const at = bytes % piece.length
            const part = chunk.subarray(from, from + piece.length - at)
            right = right && sameBytes(part, piece.subarray(at, at + part.length))
            if (bytes === 0) heard()
            bytes += part.length
            from += part.length
          }
        }
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.void)
    )
    over = true
    yield* Fiber.join(sending)
    yield* connection.end
    assert.isTrue(right)
    return bytes
  })

/** A connection that is served, as one byte there and back shows. */
const dialed = (address: Address.Address) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(address)
    yield* connection.write(pattern(1))
    yield* connection.pull
    return connection
  })

const ends = (events: ReadonlyArray<Events.Event>) =>
  events.flatMap((event) =>
    (event._tag === "Closed" && event.role === "listen") || event._tag === "HandshakeFailed" ? [event.tag] : []
  )

describe.each([
  ["net:127.0.0.1:0~shs", "pulls", echo],
  ["net:127.0.0.1:0~shs", "borrows", borrowing],
  ["net:127.0.0.1:0", "pulls", echo],
  ["ws://127.0.0.1:0~shs", "pulls", echo]
] as const)("a listener of %s, whose handler %s, that stops", (target, _how, handler) => {
  it.live(
    "says goodbye to 50 echo sessions in the middle of their transfers, and each gets all that came before",
    () => {
      const events: Array<Events.Event> = []
      return Effect.gen(function* () {
        const { address, drain } = yield* listening(target, handler)
        const connections = yield* Effect.forEach(Array.from({ length: 50 }), () => dialed(address), {
          concurrency: "unbounded"
        })
        let echoed = 0
        const session = (connection: Connection.Connection) => Effect.result(stream(connection, () => echoed++))
        const sessions = yield* Effect.forkChild(Effect.forEach(connections, session, { concurrency: "unbounded" }))
        yield* Effect.repeat(Effect.sleep("10 millis"), { until: () => echoed === connections.length })
        const [took] = yield* Effect.timed(drain)
        const outcomes = yield* Fiber.join(sessions)
        assert.deepStrictEqual(
          outcomes.flatMap((outcome) => (outcome._tag === "Failure" ? [String(outcome.failure)] : [])),
          []
        )
        assert.isTrue(outcomes.every((outcome) => outcome._tag === "Success" && outcome.success > 0))
        assert.isBelow(Duration.toMinutes(took), 5)
        const tags = ends(events)
        assert.strictEqual(tags.length, 50)
        assert.isTrue(
          tags.every((tag) => tag === "end" || tag === "closed"),
          tags.join()
        )
      }).pipe(Effect.provide(draining("10 minutes", events)))
    },
    300_000
  )
})

describe("a listener that stops", () => {
  it.live("destroys a peer that doesn't read at the grace time, with TimedOut, and the rest have their goodbye", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const { address, drain } = yield* listening("net:127.0.0.1:0~shs")
      const stalled = yield* Multiserver.dial(address)
      let written = 0
      const write = Effect.map(stalled.write(pattern(1 << 16)), () => written++)
      const flood = yield* Effect.forkChild(Effect.ignore(Effect.forever(write, { disableYield: true })))
      const idle = yield* Multiserver.dial(address)
      // All buffers are full when nothing more is taken.
      let before = -1
      const isStuck = Effect.sync(() => {
        const same = written > 0 && written === before
        before = written
        return same
      })
      yield* Effect.repeat(Effect.delay(isStuck, "700 millis"), { until: (same) => same })
      const reading = yield* Effect.forkChild(Effect.flip(idle.pull))
      yield* drain
      assert.isTrue(Cause.isDone(yield* Fiber.join(reading)))
      yield* Fiber.interrupt(flood)
      assert.deepStrictEqual(ends(events).toSorted(), ["TimedOut", "closed"])
    }).pipe(Effect.provide(draining("5 seconds", events)))
  })

  it.live("cuts off the connection of a handler that can't be interrupted, and waits for the handler", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const { address, drain } = yield* listening("net:127.0.0.1:0~shs", () =>
        Effect.uninterruptible(Deferred.await(gate))
      )
      const connection = yield* Multiserver.dial(address)
      const reading = yield* Effect.forkChild(Effect.flip(connection.pull))
      const stopping = yield* Effect.forkChild(drain)
      const error = yield* Fiber.join(reading)
      assert.isTrue(error._tag === "ConnectionError" && ["Truncated", "Reset"].includes(error.reason._tag), error._tag)
      assert.isUndefined(stopping.pollUnsafe())
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(stopping)
      assert.deepStrictEqual(ends(events), ["LocallyClosed"])
    }).pipe(Effect.provide(draining("50 millis", events)))
  })

  it.live("is not held up beyond the grace time by a peer that hears the goodbye and goes on sending", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const { address, drain } = yield* listening("net:127.0.0.1:0~shs")
      const connection = yield* dialed(address)
      yield* Effect.forkScoped(
        connection.write(pattern(1000)).pipe(Effect.andThen(Effect.sleep("5 millis")), Effect.forever, Effect.ignore)
      )
      yield* Effect.forkScoped(Effect.ignore(Effect.forever(connection.pull)))
      const [took] = yield* Effect.timed(drain)
      assert.isBelow(Duration.toMinutes(took), 1)
      assert.deepStrictEqual(ends(events), ["closed"])
    }).pipe(Effect.scoped, Effect.provide(draining("200 millis", events, { close: Duration.minutes(10) })))
  })

  it.live("ends those in their handshakes at once, each with an event", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      for (const target of ["net:127.0.0.1:0~shs", "ws://127.0.0.1:0~shs"]) {
        const { address, drain } = yield* listening(target)
        const { transport } = address
        const port = transport._tag === "net" || transport._tag === "ws" ? transport.port : 0
        const sockets = [0, 1, 2].map(() =>
          net
            .connect(port, "127.0.0.1")
            .on("error", () => {})
            .resume()
        )
        const closed = sockets.map((socket) => new Promise<void>((resolve) => socket.on("close", () => resolve())))
        // They are accepted some turns after they are connected.
        yield* Effect.repeat(Effect.sleep(1), { until: () => sockets.every((socket) => !socket.connecting) })
        for (let i = 0; i < 50; i++) yield* turn
        const [took] = yield* Effect.timed(drain)
        yield* Effect.promise(() => Promise.all(closed))
        assert.isBelow(Duration.toMinutes(took), 1)
        yield* turn
      }
      assert.deepStrictEqual(ends(events), Array(6).fill("Draining"))
    }).pipe(Effect.provide(draining("10 minutes", events)))
  })

  it.live("tells a handler that doesn't finish from a peer that doesn't read", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs").pipe(Scope.provide(scope))
      yield* Effect.forkChild(listener.run(() => Effect.never))
      yield* Multiserver.dial(listener.addresses()[0] as Address.Address)
      const serving = () => events.some((event) => event._tag === "Connected" && event.role === "listen")
      yield* Effect.repeat(Effect.sleep(1), { until: serving })
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(ends(events), ["LocallyClosed"])
    }).pipe(Effect.provide(draining("50 millis", events)))
  })
})
