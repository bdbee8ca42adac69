/**
 * Somebody sets the machine's clock back and forth all the time: what asks for the time of day is a day ahead, then a
 * day behind. Every deadline comes when it should, and no duration is negative or a day.
 */
import * as net from "node:net"
import { afterAll, assert, beforeAll, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../src/Address.ts"
import type * as Events from "../src/Events.ts"
import { formatPublicKey, Identity } from "../src/Identity.ts"
import * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { Resolver } from "../src/Resolver.ts"
import * as Transport from "../src/Transport.ts"
import * as WebSocket from "../src/ws/WebSocket.ts"
import { protocols, recorder, served } from "./support/servers.ts"
import { httpPort, httpServer, portOf } from "./ws/plain.ts"

const day = 86_400_000

beforeAll(() => {
  const { now } = Date
  let ahead = false
  vi.spyOn(Date, "now").mockImplementation(() => {
    ahead = !ahead
    return now.call(Date) + (ahead ? day : -day)
  })
})
afterAll(() => {
  vi.restoreAllMocks()
})

/** The shortest time in which nothing may be over, in milliseconds. Timers have whole milliseconds. */
const limit = 300
const tolerance = 5

const limits = {
  ...Limits.defaults,
  handshake: Duration.millis(limit),
  lookup: Duration.millis(limit),
  dialWait: Duration.millis(limit),
  close: Duration.millis(limit),
  grace: Duration.millis(limit),
  dials: 1
}

/** Opens sockets, and never connects one. */
const deaf = Transport.layer("deaf", {
  section: Address.section("deaf", Schema.String),
  reach: () => "public",
  connectTimeout: limit * 2,
  room: () => 100,
  dial: () => Effect.never
})

const multiserver = (own: Partial<Limits.LimitValues> = {}) =>
  Multiserver.layer(["net~shs", "net", "ws~shs", "ws", "deaf"]).pipe(
    Layer.provide([deaf, WebSocket.layer({ ping: limit, upgradeTimeout: limit })]),
    Layer.provideMerge(protocols()),
    Layer.provide(Layer.succeed(Limits.Limits, { ...limits, ...own })),
    Layer.provide(Layer.succeed(Resolver, () => [Effect.never]))
  )

/** How long an effect takes, by a clock that nobody sets. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.suspend(() => {
    const started = performance.now()
    return Effect.map(effect, (value) => [performance.now() - started, value] as const)
  })

/** Not sooner than it may; that the test ends says that it is not a day later. */
const assertLasted = (millis: number, least: number, what: string) =>
  assert.isAtLeast(millis, least - tolerance, `${what} was over too soon`)

/** A server that accepts and says nothing, and its sockets. */
const mute = Effect.acquireRelease(
  Effect.callback<{ readonly server: net.Server; readonly sockets: Set<net.Socket> }>((resume) => {
    const sockets = new Set<net.Socket>()
    const server = net.createServer((socket) => {
      sockets.add(socket)
      socket.on("error", () => {}).on("close", () => sockets.delete(socket))
    })
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed({ server, sockets })))
  }),
  ({ server, sockets }) =>
    Effect.sync(() => {
      server.close()
      for (const socket of sockets) socket.destroy()
    })
).pipe(Effect.map((all) => ({ ...all, port: (all.server.address() as net.AddressInfo).port })))

/** A connection to a port, without any of ours. */
const plain = (port: number, first = "") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const socket = net.connect(port, "127.0.0.1").on("error", () => {})
      if (first !== "") socket.write(first)
      return socket
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closing = (socket: net.Socket) =>
  Effect.callback<void>((resume) => {
    socket.resume().on("close", () => resume(Effect.void))
    if (socket.destroyed) resume(Effect.void)
  })

describe("while the machine's clock is set back and forth", () => {
  it("it is", () => {
    const [first, second] = [Date.now(), Date.now()]
    assert.isAbove(Math.abs(second - first), day)
  })

  it.live("each step of a dial has its time", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const { port } = yield* mute
      const key = formatPublicKey((yield* Identity).publicKey)
      const cases: ReadonlyArray<readonly [target: string, phase: string, least: number]> = [
        [`net:127.0.0.1:${port}~shs:${key}`, "handshake", limit],
        [`net:name.example:1~shs:${key}`, "lookup", limit],
        ["deaf", "connect", limit * 2]
      ]
      for (const [target, phase, least] of cases) {
        const [took, error] = yield* timed(Effect.flip(Effect.scoped(Multiserver.dial(target))))
        if (error._tag !== "DialError" || error.reason._tag !== "TimedOut") return assert.fail(String(error))
        assert.strictEqual(error.reason.phase, phase)
        assertLasted(took, least, phase)
      }
      // One connects, and the other one waits for its place.
      yield* Effect.forkChild(Effect.scoped(Multiserver.dial("deaf", { timeouts: { connect: "1 hour" } })), {
        startImmediately: true
      })
      const [waited, { reason }] = yield* timed(Effect.flip(Effect.scoped(Multiserver.dial("deaf"))))
      assert.strictEqual(reason._tag === "TimedOut" ? reason.phase : reason._tag, "place")
      assertLasted(waited, limit, "the wait for a place")
    }).pipe(Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))))
  })

  it.live("a web server that says nothing has the time of a dial, and no event has lasted a day", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const web = httpPort(yield* httpServer(() => {}))
      const [took, error] = yield* timed(Effect.flip(Effect.scoped(Multiserver.dial(`ws://127.0.0.1:${web}`))))
      assert.strictEqual(error._tag, "DialError")
      assertLasted(took, limit, "the upgrade")
      for (const event of events) {
        if (event._tag !== "DialFailed") continue
        assert.isAtLeast(event.millis, limit - tolerance)
        assert.isBelow(event.millis, day / 2)
      }
      assert.lengthOf(events, 1)
    }).pipe(Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))))
  })

  it.live("who comes has the time of a handshake, and of the head of a request", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [tcp] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      const [web] = yield* served("ws://127.0.0.1:0~shs", () => Effect.never)
      const tcpPort = tcp?.transport._tag === "net" ? tcp.transport.port : 0
      for (const [port, first] of [
        [tcpPort, ""],
        [tcpPort, "x"],
        [portOf(web), ""],
        [portOf(web), "GET / HTTP/1.1\r\n"]
      ] as const) {
        const socket = yield* plain(port, first)
        const [took] = yield* timed(closing(socket))
        assertLasted(took, limit, `handshake after ${JSON.stringify(first)}`)
      }
      const failed = events.flatMap((event) => (event._tag === "HandshakeFailed" ? [event] : []))
      assert.isAtLeast(failed.length, 2)
      for (const { millis } of failed) {
        assert.isAtLeast(millis, limit - tolerance)
        assert.isBelow(millis, day / 2)
      }
    }).pipe(Effect.provide(multiserver().pipe(Layer.provide(recorder(events)))))
  })

  it.live("an idle connection ends when it was idle for that long, and a busy one does not", () =>
    Effect.gen(function* () {
      const { port } = yield* mute
      const started = performance.now()
      const idle = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      const busy = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
      yield* Effect.forkChild(
        Effect.ignore(Effect.forever(Effect.andThen(busy.write(Uint8Array.of(1)), Effect.sleep(limit / 8))))
      )
      const end = yield* Effect.flip(idle.pull)
      assert.isTrue(!Cause.isDone(end) && end.reason._tag === "TimedOut")
      assertLasted(performance.now() - started, limit, "the idle time")
      yield* Effect.sleep(limit)
      yield* busy.write(Uint8Array.of(1))
    }).pipe(Effect.provide(multiserver({ idle: Duration.millis(limit) })))
  )

  it.live("a peer that takes nothing holds up a close for as long as it may, and a stop for the grace time", () =>
    Effect.gen(function* () {
      const { port } = yield* mute
      const [took] = yield* timed(
        Effect.scoped(
          Effect.gen(function* () {
            const connection = yield* Multiserver.dial(`net:127.0.0.1:${port}`)
            // More than the kernels take.
            yield* Effect.forkChild(connection.write(new Uint8Array(32 << 20)))
            yield* Effect.sleep(100)
          })
        )
      )
      assert.isBelow(took, day / 2)
      const [stopped] = yield* timed(
        Effect.scoped(
          Effect.gen(function* () {
            const [address] = yield* served("net:127.0.0.1:0", () => Effect.never)
            yield* plain(address?.transport._tag === "net" ? address.transport.port : 0)
            yield* Effect.sleep(50)
          })
        )
      )
      assertLasted(stopped, limit, "the grace time")
    }).pipe(Effect.provide(multiserver({ dials: 100 })))
  )

  it.live("a WebSocket that is silent gets its pings, and ends at the second that is not answered", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", () => Effect.never)
      const head = [
        `GET / HTTP/1.1`,
        `Host: 127.0.0.1:${portOf(address)}`,
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
      ]
      const socket = yield* plain(portOf(address), `${head.join("\r\n")}\r\n\r\n`)
      const [took] = yield* timed(closing(socket))
      assertLasted(took, limit * 3, "the silence")
    }).pipe(Effect.provide(multiserver()))
  )
})
