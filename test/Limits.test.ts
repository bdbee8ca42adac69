/** What the limits promise, with real sockets; and in virtual time, over memory. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schedule from "effect/Schedule"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import * as Address from "../src/Address.ts"
import * as Configuration from "../src/Configuration.ts"
import * as Events from "../src/Events.ts"
import * as Limits from "../src/Limits.ts"
import type * as Link from "../src/Link.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Policy from "../src/Policy.ts"
import type * as Shs from "../src/shs/Shs.ts"
import { roomFor } from "../src/sockets/fdRoom.ts"
import * as Transport from "../src/Transport.ts"
import * as WebSocket from "../src/ws/WebSocket.ts"
import {
  echo,
  pair,
  limits as patient,
  pattern,
  protocols,
  readAll,
  recorder,
  sameBytes,
  served,
  turn,
  turns,
  until
} from "./support/servers.ts"

/** `net`, each of whose dials is seen. */
const watched = (onDial: (link: Link.Link) => void) =>
  Layer.effect(
    Transport.Transport("net"),
    Effect.map(Transport.Transport("net"), (shape) => ({
      ...shape,
      dial: (section: Address.Section) =>
        Result.map(
          shape.dial(section),
          (dial) => (options: Transport.DialOptions) =>
            Effect.tap(dial(options), (link) => Effect.sync(() => onDial(link)))
        )
    }))
  )

interface Setting {
  readonly events?: Array<Events.Event>
  readonly ws?: WebSocket.Options
  readonly shs?: Shs.Options
  /** Gets the link of each dial over net. */
  readonly onDial?: (link: Link.Link) => void
}

const limited = (
  limits: Partial<Limits.LimitValues>,
  { events = [], onDial = () => {}, shs = {}, ws = {} }: Setting = {}
) =>
  Multiserver.layer(["net~shs", "net", "ws~shs", "memory~shs", "memory"]).pipe(
    Layer.provide(watched(onDial)),
    Layer.provide([protocols(shs), WebSocket.layer(ws)]),
    Layer.provide([Limits.layer({ ...patient, ...limits }), recorder(events)])
  )

const exchange = (address: Multiserver.Target) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address)
      yield* Effect.andThen(connection.write(pattern(100)), connection.end)
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(100)))
    })
  )

const portOf = (address: Address.Address | undefined) => {
  const transport = address?.transport
  return transport?._tag === "net" || transport?._tag === "ws" ? transport.port : 0
}

/** A plain socket that says nothing, once it is connected or refused, as long as the test. */
const silent = (address: Address.Address | undefined) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect(portOf(address), "127.0.0.1")
      for (const event of ["connect", "close"]) socket.once(event, () => resume(Effect.succeed(socket)))
      socket.on("error", () => {}).resume()
    }),
    (socket) => Effect.sync(() => socket.destroy())
  )

const closed = (socket: net.Socket) =>
  Effect.callback<void>((resume) => {
    if (socket.destroyed) resume(Effect.void)
    else socket.once("close", () => resume(Effect.void))
  })

const tags = (events: ReadonlyArray<Events.Event>, kind: "Refused" | "HandshakeFailed") =>
  events.flatMap((event) => (event._tag === kind ? [event.tag] : []))

describe.each(["net:127.0.0.1:0~shs", "ws://127.0.0.1:0~shs"])("one source over %s", (target) => {
  it.live("has so many connections, and the next when one has gone", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const own = address as Address.Address
      const scope = yield* Scope.make()
      const all = yield* Effect.replicateEffect(Multiserver.dial(own), 2)
      yield* Scope.provide(Multiserver.dial(own), scope)
      yield* until(() => events.filter((event) => event._tag === "Connected").length === 6)
      yield* Effect.flip(exchange(own))
      assert.deepStrictEqual(tags(events, "Refused"), ["TooManyFromSource"])
      yield* Scope.close(scope, Exit.void)
      yield* until(() => events.filter((event) => event._tag === "Closed").length === 2)
      yield* exchange(own)
      for (const connection of all) yield* connection.write(pattern(1))
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), [])
    }).pipe(Effect.provide(limited({ exemptLoopback: false, sourceConnections: 3 }, { events })))
  })

  it.live("that has all its connections gets in when some of them say nothing: the oldest makes room", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const all: Array<net.Socket> = []
      for (let i = 0; i < 3; i++) {
        all.push(yield* silent(address))
        yield* turns
      }
      yield* exchange(address as Address.Address)
      yield* closed(all[0] as net.Socket)
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), ["Displaced"])
      assert.deepStrictEqual(tags(events, "Refused"), [])
      assert.isTrue(all.slice(1).every((socket) => !socket.destroyed))
    }).pipe(Effect.provide(limited({ exemptLoopback: false, sourceConnections: 3 }, { events })))
  })

  // Virtual time: what comes at once does so on a slow machine too.
  it.effect("comes so often a second", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      yield* exchange(address as Address.Address)
      yield* closed(yield* silent(address))
      yield* turns
      assert.deepStrictEqual(tags(events, "Refused"), ["TooFast"])
      const [refused] = events.filter((event) => event._tag === "Refused")
      assert.strictEqual(refused?._tag === "Refused" ? refused.source : "", "127.0.0.1")
      yield* TestClock.adjust("1 second")
      yield* exchange(address as Address.Address)
    }).pipe(Effect.provide(limited({ exemptLoopback: false, sourceRate: 1 }, { events })))
  })

  it.effect("may come and say nothing as often as it likes, and what it says counts whatever it is", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      for (let i = 1; i <= 3; i++) {
        const socket = yield* silent(address)
        socket.end()
        yield* closed(socket)
        yield* turns
      }
      assert.deepStrictEqual(tags(events, "Refused"), [])
      const rude = yield* silent(address)
      rude.end("GET")
      yield* closed(rude)
      yield* turns
      yield* closed(yield* silent(address))
      yield* turns
      // Over ws, half a request is told as one.
      const half = target.startsWith("ws") ? ["BadRequest"] : []
      assert.deepStrictEqual(tags(events, "Refused"), [...half, "TooFast"])
    }).pipe(Effect.provide(limited({ exemptLoopback: false, sourceRate: 1 }, { events })))
  })

  it.live("on loopback has no limits by default", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      for (let i = 0; i < 70; i++) yield* silent(address)
      yield* exchange(address as Address.Address)
    }).pipe(Effect.provide(limited({})))
  )
})

describe("a source that is no IP", () => {
  it.live("has the same limits, by whatever text its transport names it", () => {
    const events: Array<Events.Event> = []
    let onAccepted: Transport.OnAccepted = () => false
    const through = Transport.layer("through", {
      section: Address.section("through", Schema.String),
      reach: () => "public",
      dial: () => Effect.never,
      listen: (data, accept) =>
        Effect.sync(() => {
          onAccepted = accept
          return { section: new Address.Opaque({ name: "through", data: `:${data}` }) }
        })
    })
    return Effect.gen(function* () {
      yield* served("through:x", () => Effect.never)
      const [one, other] = [1, 2].map((each) => Buffer.alloc(32, each).toString("base64"))
      // The first has a connection in the making, so that the second of its source takes its place.
      assert.isTrue(onAccepted(Effect.never, one))
      assert.isTrue(onAccepted(Effect.never, one))
      yield* until(() => tags(events, "HandshakeFailed").length === 1)
      assert.isTrue(onAccepted(Effect.never, other))
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), ["Displaced"])
      assert.isTrue(events.every((event) => event._tag === "HandshakeFailed" && event.source === one))
    }).pipe(
      Effect.provide(
        Multiserver.layer(["through"]).pipe(
          Layer.provide([through, Limits.layer({ sourceConnections: 1 }), recorder(events)])
        )
      )
    )
  })
})

describe.each(["net:127.0.0.1:0~shs", "ws://127.0.0.1:0~shs"])("many silent sockets over %s", (target) => {
  it.live("make room for who comes to talk, each with an event of its own", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const all: Array<net.Socket> = []
      for (let i = 0; i < 20; i++) all.push(yield* silent(address))
      for (let i = 0; i < 5; i++) yield* exchange(address as Address.Address)
      yield* turns
      // The first 20 filled the queue of 10, and only an honest one that found it full took another's place.
      const ended = all.filter((socket) => socket.destroyed).length
      assert.isAtLeast(ended, 11)
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), Array(ended).fill("Displaced"))
      assert.deepStrictEqual(tags(events, "Refused"), [])
    }).pipe(Effect.provide(limited({ pendingHandshakes: 10 }, { events })))
  })

  it.live("push out nobody who has sent a valid first message", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const gate = yield* Deferred.make<boolean>()
      const asked = yield* Deferred.make<void>()
      const authorize = () => Effect.andThen(Deferred.succeed(asked, undefined), Deferred.await(gate))
      const live = limited({ pendingHandshakes: 4 }, { events, shs: { authorize } })
      yield* Effect.gen(function* () {
        const [address] = yield* served(target, echo)
        const honest = yield* Effect.forkChild(exchange(address as Address.Address))
        yield* Deferred.await(asked)
        for (let i = 0; i < 60; i++) yield* silent(address)
        yield* turns
        yield* Deferred.succeed(gate, true)
        yield* Fiber.join(honest)
      }).pipe(Effect.provide(live))
      assert.isAtLeast(tags(events, "HandshakeFailed").length, 50)
      assert.isTrue(events.every((event) => event._tag !== "HandshakeFailed" || event.bytesWritten === 0))
    })
  })

  it.live("are ended at the deadline, which counts from their accept", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const all = [yield* silent(address), yield* silent(address)]
      yield* Effect.forEach(all, closed)
      yield* turns
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), ["TimedOut", "TimedOut"])
      for (const event of events) {
        if (event._tag !== "HandshakeFailed") continue
        assert.include(event, {
          protocol: "shs",
          phase: "deadline",
          source: "127.0.0.1",
          bytesRead: 0,
          bytesWritten: 0
        })
        assert.isAtLeast(event.millis, 200)
      }
    }).pipe(Effect.provide(limited({ handshake: Duration.millis(200) }, { events })))
  })

  it.live("don't keep the rest out when they are all that there is room for", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      for (let i = 0; i < 8; i++) yield* silent(address)
      for (let i = 0; i < 3; i++) yield* exchange(address as Address.Address)
    }).pipe(Effect.provide(limited({ connections: 4 })))
  )

  it.live("a dial counts until it is over, however it ends", () =>
    Effect.gen(function* () {
      // Both ends are ours: each connection is two.
      const address = yield* served("net:127.0.0.1:0~shs", echo)
      const closed = yield* Effect.scoped(served("net:127.0.0.1:0~shs", echo))
      for (let i = 0; i < 4; i++) {
        yield* exchange(address)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(Multiserver.dial(closed))))._tag, "DialError")
        const dialing = yield* Effect.forkChild(Effect.scoped(Multiserver.dial(address)), { startImmediately: true })
        if (i > 0) yield* turn
        yield* Fiber.interrupt(dialing)
        // The other side has seen it.
        yield* turns
      }
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* Multiserver.dial(address)
          assert.strictEqual((yield* Effect.flip(Multiserver.dial(address)))._tag, "DialError")
        })
      )
      yield* exchange(address)
    }).pipe(Effect.provide(limited({ connections: 3 })))
  )

  it.live("authenticated connections are never ended for others: when there is no room, newcomers are refused", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      // The dialing side counts too: it is the same Multiserver.
      const [first, second] = [
        yield* Multiserver.dial(address as Address.Address),
        yield* Multiserver.dial(address as Address.Address)
      ]
      yield* turns
      yield* closed(yield* silent(address))
      assert.deepStrictEqual(tags(events, "Refused"), ["TooManyConnections"])
      for (const connection of [first, second]) {
        yield* Effect.andThen(connection.write(pattern(10)), connection.end)
        assert.strictEqual((yield* readAll(connection)).length, 10)
      }
    }).pipe(Effect.provide(limited({ connections: 4 }, { events })))
  })
})

describe("a ws listener's other visitors", () => {
  /** Keeps what it is to answer. */
  const slow = () => {
    const asked: Array<http.ServerResponse> = []
    const handler: http.RequestListener = (_request, response) => void asked.push(response)
    return { asked, handler }
  }

  it.effect("plain requests have their own time, and are no failed handshake", () => {
    const events: Array<Events.Event> = []
    const { asked, handler } = slow()
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0~shs", echo)
      const body = yield* Effect.forkChild(
        Effect.callback<string>((resume) => {
          http.get({ port: portOf(address), agent: false }, (response) =>
            response.once("data", (chunk) => resume(Effect.succeed(String(chunk))))
          )
        }),
        { startImmediately: true }
      )
      yield* until(() => asked.length === 1)
      yield* TestClock.adjust("400 millis")
      yield* turns
      asked[0]?.end("hello")
      assert.strictEqual(yield* Fiber.join(body), "hello")
      assert.deepStrictEqual(events, [])
    }).pipe(Effect.provide(limited({ handshake: Duration.millis(100) }, { events, ws: { handler } })))
  })

  it.effect("who asks for a WebSocket after a plain request has a deadline from then on", () => {
    const events: Array<Events.Event> = []
    const { asked, handler } = slow()
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0~shs", echo)
      const socket = yield* silent(address)
      let answer = ""
      socket.on("data", (chunk) => {
        answer += chunk
      })
      socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
      yield* until(() => asked.length === 1)
      yield* TestClock.adjust("400 millis")
      asked[0]?.end("hello")
      yield* until(() => answer.includes("hello"))
      yield* TestClock.adjust("200 millis")
      const key = "dGhlIHNhbXBsZSBub25jZQ=="
      socket.write(
        `GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ${key}\r\nSec-WebSocket-Version: 13\r\n\r\n`
      )
      yield* until(() => answer.includes("101 Switching"))
      yield* turns
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), [])
      yield* TestClock.adjust("200 millis")
      yield* closed(socket)
      yield* turns
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), ["TimedOut"])
    }).pipe(Effect.provide(limited({ handshake: Duration.millis(200) }, { events, ws: { handler } })))
  })
})

describe("docs/limits.md", () => {
  const document = fs.readFileSync(new URL("../docs/limits.md", import.meta.url), "utf8")
  const variable = (name: string) => `MULTISERVER_${name.replace(/[A-Z]/g, "_$&").toUpperCase()}`

  it.each(Object.keys(Limits.defaults))("has %s, and its variable", (name) => {
    const row = document.split("\n").find((line) => line.startsWith(`| \`${name}\``)) ?? ""
    assert.include(row, variable(name))
  })

  it.effect("has variables that are read", () =>
    Effect.gen(function* () {
      const env: Record<string, string> = {}
      for (const [name, value] of Object.entries(Limits.defaults)) {
        env[variable(name)] = typeof value === "boolean" ? "false" : typeof value === "number" ? "7" : "7 seconds"
      }
      const limits = yield* Configuration.limits.pipe(
        Effect.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env }).pipe(ConfigProvider.constantCase)))
      )
      for (const value of Object.values(limits)) {
        assert.isTrue(value === false || value === 7 || (Duration.isDuration(value) && Duration.toSeconds(value) === 7))
      }
    })
  )
})

describe("the room that the system has", () => {
  it("is the soft limit of file descriptors less 64", () => {
    assert.strictEqual(roomFor("1024"), 960)
    assert.strictEqual(roomFor("32"), 1)
    for (const unknown of ["unlimited", "", undefined]) assert.strictEqual(roomFor(unknown), Number.POSITIVE_INFINITY)
  })

  it.skipIf(process.platform === "win32")("is what the system says", () => {
    const built = fileURLToPath(new URL("../dist/sockets/fdRoom.js", import.meta.url))
    const code = `import(${JSON.stringify(built)}).then(({ fdRoom }) => console.log(fdRoom()))`
    const { stdout } = spawnSync("/bin/sh", ["-c", `ulimit -n 300 && exec "$0" -e '${code}'`, process.execPath])
    assert.strictEqual(String(stdout).trim(), "236")
  })
})

describe.each(["net:127.0.0.1:0", "net:127.0.0.1:0~shs"])("memory of one connection over %s", (target) => {
  /** The kernels take some megabytes first. */
  const filled = Effect.repeat(turns, { times: 10 })

  it.live("holds at most 198 KiB of what a program doesn't read", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const flood = yield* Effect.forkChild(Effect.forever(near.write(pattern(1 << 20)), { disableYield: true }))
      yield* filled
      // One pull gives all that is in user space; what comes next is still the kernel's.
      const chunks = yield* far.pull
      const held = chunks.reduce((sum, chunk) => sum + chunk.buffer.byteLength, 0)
      assert.isAtLeast(held, 32 * 1024)
      assert.isAtMost(held, 198 * 1024)
      yield* Fiber.interrupt(flood)
    }).pipe(Effect.provide(limited({})))
  )

  it.live("holds at most 192 KiB of what a peer doesn't read", () => {
    const links: Array<Link.Link> = []
    return Effect.gen(function* () {
      const [near] = yield* pair(target)
      yield* Effect.forkChild(Effect.ignore(Effect.forever(near.write(pattern(1 << 20)), { disableYield: true })))
      yield* filled
      const pending = links[0]?.leaving.top.pending ?? 0
      assert.isAtLeast(pending, 64 * 1024)
      assert.isAtMost(pending, 192 * 1024)
    }).pipe(Effect.provide(limited({}, { onDial: (link) => void links.push(link) })))
  })
})

describe("in virtual time, over memory", () => {
  it.effect("a connection is ended after so much silence, on both sides, with TimedOut", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const outcome = yield* Deferred.make<string>()
      const [address] = yield* served("memory:m~shs", (connection) =>
        Effect.tap(Effect.flip(Effect.forever(connection.pull)), (error) =>
          Deferred.succeed(outcome, error._tag === "ConnectionError" ? error.reason._tag : "Done")
        )
      )
      const dial = yield* Effect.forkChild(Multiserver.dial(address as Address.Address))
      yield* turns
      const connection = yield* Fiber.join(dial)
      // Each byte begins the time anew, whichever way it goes.
      for (let i = 0; i < 5; i++) {
        yield* TestClock.adjust("59 seconds")
        yield* connection.write(pattern(1))
        yield* turns
      }
      assert.isFalse(yield* Deferred.isDone(outcome))
      // The last of eight looks is late by an eighth at most.
      yield* TestClock.adjust("68 seconds")
      yield* turns
      assert.strictEqual(yield* Deferred.await(outcome), "TimedOut")
      const error = yield* Effect.flip(connection.write(pattern(1)))
      assert.strictEqual(error.reason._tag, "TimedOut")
      const ends = events.flatMap((event) => (event._tag === "Closed" ? [[event.role, event.tag]] : []))
      assert.deepStrictEqual(ends, [["listen", "TimedOut"]])
    }).pipe(Effect.provide(limited({ idle: Duration.minutes(1) }, { events })))
  })

  it.effect("silence is no reason by default", () =>
    Effect.gen(function* () {
      const [address] = yield* served("memory:m~shs", echo)
      const dial = yield* Effect.forkChild(Multiserver.dial(address as Address.Address))
      yield* turns
      const connection = yield* Fiber.join(dial)
      yield* TestClock.adjust("30 days")
      yield* Effect.andThen(connection.write(pattern(10)), connection.end)
      const all = yield* Effect.forkChild(readAll(connection))
      yield* turns
      assert.strictEqual((yield* Fiber.join(all)).length, 10)
    }).pipe(Effect.provide(limited({})))
  )

  it.effect("a handshake has ten seconds in all on both sides, however it drips", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [bare] = yield* served("memory:drip", (connection) => Effect.forever(connection.pull))
      yield* served("memory:m~shs", echo)
      const dial = yield* Effect.forkChild(Effect.flip(Multiserver.dial(`${bare}~shs:${"A".repeat(43)}=`)))
      // A client that says a byte a second.
      const connection = yield* Multiserver.dial("memory:m")
      for (let i = 0; i < 10; i++) {
        assert.deepStrictEqual(tags(events, "HandshakeFailed"), [], `${i} s`)
        yield* connection.write(pattern(1))
        yield* TestClock.adjust("1 second")
        yield* turns
      }
      assert.deepStrictEqual(tags(events, "HandshakeFailed"), ["TimedOut"])
      const error = yield* Fiber.join(dial)
      assert.strictEqual(error.reason._tag, "TimedOut")
    }).pipe(Effect.provide(limited({ handshake: Limits.defaults.handshake }, { events })))
  })

  it.effect("a dial is tried again while its failure says that it can help", () =>
    Effect.gen(function* () {
      const address = "memory:late"
      const dial = Multiserver.dial(address).pipe(
        Effect.retry({ while: (error) => error.isRetryable, schedule: Schedule.spaced("10 seconds") }),
        Effect.forkChild
      )
      const fiber = yield* dial
      yield* turns
      yield* TestClock.adjust("25 seconds")
      assert.isUndefined(fiber.pollUnsafe())
      yield* served(address, echo)
      yield* TestClock.adjust("5 seconds")
      yield* turns
      yield* Fiber.join(fiber)
    }).pipe(Effect.provide(limited({})))
  )
})

describe("refusals", () => {
  it.live("that come faster than they are heard of are told as one, and none is lost", () => {
    const heard: Array<Events.Refused> = []
    return Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const layer = Multiserver.layer(["memory"]).pipe(
        Layer.provide(protocols()),
        Layer.provide([
          Layer.succeed(Policy.Policy, { ...Policy.allowAll, mayConnect: () => false }),
          // However long the sink waits for the gate, nothing is lost for it.
          Limits.layer({ close: Duration.minutes(5) }),
          Events.layer((event) =>
            Effect.andThen(
              Deferred.await(gate),
              Effect.sync(() => void (event._tag === "Refused" && heard.push(event)))
            )
          )
        ])
      )
      yield* Effect.gen(function* () {
        yield* served("memory:m", echo)
        for (let i = 0; i < 1000; i++) yield* Effect.forkChild(Effect.ignore(Multiserver.dial("memory:m")))
        yield* turns
        yield* Deferred.succeed(gate, undefined)
        const told = () => heard.reduce((sum, { count }) => sum + count, 0)
        yield* until(() => told() >= 1000)
        yield* turns
        assert.strictEqual(told(), 1000)
        assert.isAtMost(heard.length, 300)
      }).pipe(Effect.provide(layer))
    })
  })
})
