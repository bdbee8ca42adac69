/**
 * Who connects to a ws or wss port of ours and asks for something else: one event each, and each place is free again.
 */
import * as fs from "node:fs"
import * as http from "node:http"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import * as tls from "node:tls"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import type * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Networks from "../../src/Networks.ts"
import { Arrivals } from "../../src/ws/arrivals.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import * as Wire from "../fuzz/websocketWire.ts"
import { echo, limits, pattern, recorder, served, turns, until } from "../support/servers.ts"
import { connect, portOf, status, upgrade } from "./plain.ts"

const file = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))
const credentials = { key: file("server.key"), cert: file("server.crt") }

const speaking = (
  options: WebSocket.SecureOptions,
  events: Array<Events.Event>,
  values: Partial<Limits.LimitValues> = {}
) =>
  Multiserver.layer(["ws", "wss"]).pipe(
    Layer.provide([WebSocket.layer(options), WebSocket.layerSecure({ ...options, credentials })]),
    Layer.provide([Layer.succeed(Limits.Limits, { ...limits, ...values }), recorder(events)])
  )

/** What each connection came to: how many of each tag. */
const tags = (events: ReadonlyArray<Events.Event>): Record<string, number> => {
  const counts: Record<string, number> = {}
  for (const event of events) {
    if (!("tag" in event)) continue
    counts[event.tag] = (counts[event.tag] ?? 0) + ("count" in event ? event.count : 1)
  }
  return counts
}

const tcp = (port: number, localPort?: number) =>
  net.connect({ port, host: "127.0.0.1", ...(localPort !== undefined && { localPort }) }).on("error", () => {})

/** From this port, unless another program has taken it meanwhile: then from any. */
const tcpFrom = (port: number, localPort: number | undefined) =>
  Effect.callback<net.Socket>((resume) => {
    const come = (from: number | undefined): void => {
      const socket = tcp(port, from)
      socket.once("connect", () => resume(Effect.succeed(socket)))
      socket.once("error", (error) => (from === undefined ? resume(Effect.die(error)) : come(undefined)))
    }
    come(localPort)
  })

describe.each(["ws", "wss"])("a %s port", (scheme) => {
  it.live(
    "has every place free after connections that ask for a page, are reset, and come again from the same port",
    () => {
      const events: Array<Events.Event> = []
      const rounds = 100
      let asked = 0
      // It never answers, so that each connection is there when it is reset.
      const handler = () => void asked++
      return Effect.gen(function* () {
        const [address] = yield* served(`${scheme}://127.0.0.1:0`, echo)
        const port = portOf(address)
        let localPort: number | undefined
        let again = 0
        for (let i = 1; i <= rounds; i++) {
          const socket = yield* tcpFrom(port, localPort)
          if (socket.localPort === localPort) again++
          localPort = socket.localPort
          const stream = scheme === "ws" ? socket : tls.connect({ socket, rejectUnauthorized: false })
          stream.on("error", () => {}).write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
          yield* until(() => asked >= i)
          socket.resetAndDestroy()
        }
        assert.isAbove(again, rounds / 2)
        // Its one place is the last one's, who leaves.
        yield* turns
        const url = `${scheme}://127.0.0.1:${port}`
        const { ws } = yield* connect(url, { rejectUnauthorized: false })
        const answered = new Promise((resolve) => ws.once("message", resolve))
        ws.send(pattern(10))
        yield* Effect.promise(() => answered)
      }).pipe(Effect.scoped, Effect.provide(speaking({ handler }, events, { connections: 2 })))
    }
  )

  it.live("has one event for each that asks for something else, with its reason", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served(`${scheme}://127.0.0.1:0/here`, echo)
      const port = portOf(address)
      /** Says something, and leaves when it is told to or when the server does. */
      const says = (text: string, leaves = false) =>
        Effect.callback<void>((resume) => {
          const open = (stream: net.Socket) => (leaves ? stream.end(text) : stream.write(text))
          const socket: net.Socket =
            scheme === "ws"
              ? net.connect(port, "127.0.0.1", () => open(socket))
              : tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false }, () => open(socket))
          socket.on("error", () => {}).on("close", () => resume(Effect.void))
          socket.resume()
        })
      const asks = (target: string, ...lines: ReadonlyArray<string>) =>
        [
          `GET ${target} HTTP/1.1`,
          "Host: localhost",
          "Connection: Upgrade",
          "Upgrade: websocket",
          ...lines,
          "",
          ""
        ].join("\r\n")
      const asked = (target: string, ...lines: ReadonlyArray<string>) => says(asks(target, ...lines))
      const plain = "GET /here HTTP/1.1\r\nHost: localhost\r\n\r\n"
      const version = "Sec-WebSocket-Version: 13"
      const key = "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
      const cases: ReadonlyArray<readonly [Effect.Effect<void>, Record<string, number>]> = [
        [says(plain), { PlainHttp: 1 }],
        // A good one behind one that is refused, in one packet.
        [says(plain + asks("/here", version, key)), { PlainHttp: 1 }],
        [asked("/elsewhere", version, key), { UnknownPath: 1 }],
        [asked("/here", version, "Sec-WebSocket-Key: short"), { PeerMisbehaved: 1 }],
        [asked("/here", "Sec-WebSocket-Version: 99", key), { PeerMisbehaved: 1 }],
        [asked("/here", version, key, "Origin: https://page.example"), { Origin: 1 }],
        [says("no HTTP at all\r\n\r\n"), { BadRequest: 1 }],
        [says("GET /here HT", true), { BadRequest: 1 }]
      ]
      for (const [act, expected] of cases) {
        events.length = 0
        yield* act
        yield* until(() => events.length > 0)
        yield* turns
        assert.deepStrictEqual(tags(events), expected)
      }
      // One that says nothing at all.
      events.length = 0
      const silent = tcp(port)
      silent.once("connect", () => silent.end())
      yield* until(() => events.length > 0)
      yield* turns
      assert.deepStrictEqual(tags(events), { Rejected: 1 })
    }).pipe(Effect.scoped, Effect.provide(speaking({}, events)))
  })

  it.live("has one event for each that asks for a WebSocket and is reset at once", () => {
    const events: Array<Events.Event> = []
    const count = 40
    return Effect.gen(function* () {
      const [address] = yield* served(`${scheme}://127.0.0.1:0`, echo)
      const asksAndResets = Effect.callback<void>((resume) => {
        const socket = tcp(portOf(address))
        socket.on("close", () => resume(Effect.void))
        const ask = (stream: net.Socket) => {
          stream.on("error", () => {}).write(upgrade())
          // When the request is on its way.
          setImmediate(() => socket.resetAndDestroy())
        }
        if (scheme === "ws") socket.once("connect", () => ask(socket))
        else {
          const secure = tls.connect({ socket, rejectUnauthorized: false }, () => ask(secure))
        }
      })
      for (let i = 0; i < count; i++) yield* asksAndResets
      // What came to a WebSocket is told as connected, and as closed.
      const ended = () => events.filter(({ _tag }) => _tag !== "Connected")
      yield* until(() => ended().length >= count)
      yield* turns
      assert.lengthOf(ended(), count)
    }).pipe(Effect.scoped, Effect.provide(speaking({}, events)))
  })
})

describe("two sockets that come from the same port, one after the other", () => {
  it("each have their own place, when the old one's end is told after the new one has come", () => {
    const places: Array<string> = []
    const server = http.createServer()
    let count = 0
    const arrivals = new Arrivals(Networks.empty, {
      authenticates: false,
      key: undefined,
      dial: () => Effect.die("nothing is dialed"),
      onRefused: () => {},
      onVanished: () => {},
      onLingering: () => () => {},
      onArriving: () => {
        const name = `${++count}`
        places.push(name)
        const free = () => void places.splice(places.indexOf(name), 1)
        return { accept: () => true, stay: () => true, gone: free }
      }
    })
    arrivals.watch(server)
    const come = () => {
      const socket = new net.Socket()
      Object.defineProperty(socket, "remoteAddress", { value: "192.0.2.1" })
      Object.defineProperty(socket, "remotePort", { value: 4711 })
      server.emit("connection", socket)
      return socket
    }
    const old = come()
    arrivals.stay(old, undefined)
    const next = come()
    arrivals.stay(next, undefined)
    old.emit("close")
    assert.deepStrictEqual(places, ["2"])
    next.emit("close")
    assert.deepStrictEqual(places, [])
  })
})

describe("a wss port", () => {
  it.live("has one event for what is no TLS", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("wss://127.0.0.1:0", echo)
      const socket = tcp(portOf(address))
      socket.write("GET / HTTP/1.1\r\n\r\n")
      yield* until(() => events.length > 0)
      yield* turns
      assert.deepStrictEqual(tags(events), { BadRequest: 1 })
    }).pipe(Effect.scoped, Effect.provide(speaking({}, events)))
  })
})

describe("a ws listener that is called by another name", () => {
  it.live("says that it is the Host, and takes it when it is on the list", () => {
    const events: Array<Events.Event> = []
    const origin = "https://app.example"
    const ask = (options: WebSocket.Options) =>
      Effect.gen(function* () {
        const [address] = yield* served("ws://127.0.0.1:0", echo)
        return yield* status(portOf(address), { headers: { origin, host: "app.example" } })
      }).pipe(Effect.scoped, Effect.provide(speaking({ origins: [origin], ...options }, events)))
    return Effect.gen(function* () {
      assert.strictEqual(yield* ask({}), 403)
      assert.deepStrictEqual(tags(events), { Host: 1 })
      assert.strictEqual(yield* ask({ hosts: ["app.example"] }), 101)
    })
  })
})

describe("a ws whose socket outlives its connection", () => {
  it.live("counts until it is gone, and makes room before anybody else", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const port = portOf(address)
      const text = Wire.encode({ fin: true, rsv: 0, opcode: Wire.opcodes.text, masked: true, payload: pattern(3) })
      const violators: Array<net.Socket> = []
      for (let i = 0; i < 20; i++) {
        const socket = tcp(port)
        violators.push(socket)
        // It never answers the Close that says so.
        socket.resume().write(Buffer.concat([Buffer.from(upgrade()), text]))
        yield* until(() => (tags(events).ProtocolViolation ?? 0) > i)
      }
      yield* turns
      assert.isAtMost(violators.filter(({ closed }) => !closed).length, 4)
      const { ws } = yield* connect(`ws://127.0.0.1:${port}`)
      const answered = new Promise((resolve) => ws.once("message", resolve))
      ws.send(pattern(10))
      yield* Effect.promise(() => answered)
      for (const socket of violators) socket.destroy()
    }).pipe(Effect.scoped, Effect.provide(speaking({}, events, { connections: 4 })))
  })
})

describe("those that ask a ws port for pages", () => {
  it.live("make room for newcomers when there is none, the one that came first before the others", () => {
    const events: Array<Events.Event> = []
    let asked = 0
    // It waits for a body that never comes.
    const handler = () => void asked++
    return Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", echo)
      const port = portOf(address)
      const posts: Array<net.Socket> = []
      for (let i = 0; i < 3; i++) {
        const socket = tcp(port)
        posts.push(socket)
        socket.resume().write("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nx")
        yield* until(() => asked === i + 1)
      }
      const { ws } = yield* connect(`ws://127.0.0.1:${port}`)
      const answered = new Promise((resolve) => ws.once("message", resolve))
      ws.send(pattern(10))
      yield* Effect.promise(() => answered)
      yield* until(() => posts[0]?.closed === true)
      assert.deepStrictEqual(
        posts.map(({ closed }) => closed),
        [true, false, false]
      )
      yield* until(() => tags(events).Displaced === 1)
      for (const socket of posts) socket.destroy()
    }).pipe(Effect.scoped, Effect.provide(speaking({ handler }, events, { connections: 3 })))
  })
})

describe("a ws listener on somebody's server on a unix socket", () => {
  const onUnix = (options: WebSocket.Options, headers: Record<string, string>) => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const directory = yield* Effect.acquireRelease(
        Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "ws-unix-"))),
        (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
      )
      const place = path.join(directory, "s")
      const server = yield* Effect.acquireRelease(
        Effect.callback<http.Server>((resume) => {
          const server = http.createServer().listen(place, () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      yield* Effect.gen(function* () {
        yield* served("ws://127.0.0.1:8989/p", echo)
        const { ws } = yield* connect(`ws+unix:${place}:/p`, { headers })
        const answered = new Promise((resolve) => ws.once("message", resolve))
        ws.send(pattern(10))
        yield* Effect.promise(() => answered)
      }).pipe(Effect.scoped, Effect.provide(speaking({ ...options, server }, events)))
      return events.flatMap((event) => (event._tag === "Connected" ? [event.source] : []))
    }).pipe(Effect.scoped)
  }

  const forwarded = { "X-Forwarded-For": "198.51.100.1, 203.0.113.7" }

  it.live("works, and its connections have no source", () =>
    Effect.map(onUnix({}, forwarded), (sources) => assert.deepStrictEqual(sources, [undefined]))
  )

  it.live("hears of a source from whoever reaches the socket, where there are trusted proxies", () =>
    Effect.map(onUnix({ trustedProxies: Result.getOrThrow(Networks.parse(["10.0.0.0/8"])) }, forwarded), (sources) =>
      assert.deepStrictEqual(sources, ["203.0.113.7"])
    )
  )
})
