/** Connections that a trusted proxy passes on, by the PROXY protocol. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import type * as Address from "../../src/Address.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import type * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Networks from "../../src/Networks.ts"
import * as Net from "../../src/net/Net.ts"
import { maxLength, parse } from "../../src/net/proxyHeader.ts"
import * as Shs from "../../src/shs/Shs.ts"
import { echo, limits as patient, pattern, readAll, recorder, sameBytes, served, turns } from "../support/servers.ts"

const line = (text: string) => Buffer.from(`${text}\r\n`, "latin1")

/** A header of version 2. */
const binary = (command: number, family: number, body: Uint8Array, length = body.length) => {
  const head = Buffer.from("\r\n\r\n\0\r\nQUIT\n\0\0\0\0", "latin1")
  head.writeUInt8(command, 12)
  head.writeUInt8(family, 13)
  head.writeUInt16BE(length, 14)
  return Buffer.concat([head, body])
}

const four = Buffer.from([203, 0, 113, 7, 198, 51, 100, 1, 0x12, 0x67, 0x1f, 0x48])
const six = Buffer.concat([
  Buffer.from("20010db8000000000000000000000007", "hex"),
  Buffer.from("20010db8000000000000000000000001", "hex"),
  four.subarray(8)
])

const good: ReadonlyArray<readonly [string, Buffer, { host: string; port: number } | undefined]> = [
  ["version 1, IPv4", line("PROXY TCP4 203.0.113.7 198.51.100.1 4711 8008"), { host: "203.0.113.7", port: 4711 }],
  ["version 1, IPv6", line("PROXY TCP6 2001:db8::7 2001:db8::1 4711 8008"), { host: "2001:db8::7", port: 4711 }],
  [
    "version 1, IPv6 as it is not written",
    line("PROXY TCP6 2001:0DB8:0:0::7 ::1 4711 8008"),
    { host: "2001:db8::7", port: 4711 }
  ],
  ["version 1, IPv4 in IPv6", line("PROXY TCP6 ::FFFF:203.0.113.7 ::1 4711 8008"), { host: "203.0.113.7", port: 4711 }],
  ["version 1, unknown", line("PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535"), undefined],
  ["version 2, IPv4", binary(0x21, 0x11, four), { host: "203.0.113.7", port: 4711 }],
  ["version 2, IPv6", binary(0x21, 0x21, six), { host: "2001:db8::7", port: 4711 }],
  [
    "version 2, IPv4 in IPv6",
    binary(0x21, 0x21, Buffer.concat([Buffer.from("00000000000000000000ffffcb007107", "hex"), six.subarray(16)])),
    { host: "203.0.113.7", port: 4711 }
  ],
  [
    "version 2, with more to say",
    binary(0x21, 0x11, Buffer.concat([four, pattern(300)])),
    { host: "203.0.113.7", port: 4711 }
  ],
  ["version 2, local", binary(0x20, 0, Buffer.alloc(0)), undefined],
  ["version 2, a unix socket", binary(0x21, 0x31, pattern(216)), undefined]
]

const bad: ReadonlyArray<readonly [string, Buffer]> = [
  ["no header", Buffer.from(pattern(64))],
  ["another protocol", Buffer.from("GET / HTTP/1.1\r\n\r\n")],
  ["a family that there is not", line("PROXY TCP5 203.0.113.7 198.51.100.1 4711 8008")],
  ["an address of the other family", line("PROXY TCP4 2001:db8::7 198.51.100.1 4711 8008")],
  ["an address that is none", line("PROXY TCP4 203.0.113.256 198.51.100.1 4711 8008")],
  ["an address with a zone", line("PROXY TCP6 fe80::1%eth0 ::1 4711 8008")],
  ["an address with a zone that no host has", line("PROXY TCP6 fe80::1%a:b ::1 4711 8008")],
  ["a destination with a zone", line("PROXY TCP6 2001:db8::7 fe80::1%a:b 4711 8008")],
  ["a port that is none", line("PROXY TCP4 203.0.113.7 198.51.100.1 65536 8008")],
  ["a port with zeros", line("PROXY TCP4 203.0.113.7 198.51.100.1 04711 8008")],
  ["too few words", line("PROXY TCP4 203.0.113.7 198.51.100.1 4711")],
  ["too many words", line("PROXY TCP4 203.0.113.7 198.51.100.1 4711 8008 1")],
  ["a line without end", Buffer.from(`PROXY TCP4 ${"1".repeat(200)}`)],
  ["another version", binary(0x31, 0x11, four)],
  ["another command", binary(0x22, 0x11, four)],
  ["too short for its family", binary(0x21, 0x11, four.subarray(0, 11))],
  ["too long", binary(0x21, 0x11, four, maxLength)]
]

describe("the header", () => {
  it.each(good)("%s is read however it is cut", (_name, bytes, source) => {
    for (let length = 0; length < bytes.length; length++) {
      assert.strictEqual(parse(bytes.subarray(0, length)), "incomplete", String(length))
    }
    for (const more of [0, 1, 1000]) {
      assert.deepStrictEqual(parse(Buffer.concat([bytes, pattern(more)])), { length: bytes.length, source })
    }
  })

  it.each(bad)("%s is none", (_name, bytes) => {
    assert.strictEqual(parse(bytes), "malformed")
  })
})

const proxies = Result.getOrThrow(Networks.parse(["127.0.0.1"]))

const behindProxy = (events: Array<Events.Event>, limits: Partial<Limits.LimitValues> = {}) =>
  Multiserver.layer(["net~shs", "net"]).pipe(
    Layer.provide([Net.layer({ trustedProxies: proxies }), Shs.layer()]),
    Layer.provide(Identity.layerEphemeral),
    Layer.provide(Sodium.layer),
    Layer.provide([Limits.layer({ ...patient, ...limits }), recorder(events)])
  )

const portOf = (address: Address.Address | undefined) =>
  address?.transport._tag === "net" ? address.transport.port : 0

/** A proxy that sends a header, in pieces, ahead of what it passes on; and where it listens. */
const proxy = (to: number, header: () => Uint8Array, pieces = 1) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly server: net.Server }>((resume) => {
      const server = net.createServer({ allowHalfOpen: true }, (near) => {
        const far = net.connect({ port: to, host: "127.0.0.1", allowHalfOpen: true, noDelay: true })
        for (const socket of [near, far]) socket.on("error", () => near.destroy())
        far.on("close", () => near.destroy())
        const bytes = header()
        const each = Math.ceil(bytes.length / pieces)
        const send = (from: number): void => {
          far.write(bytes.subarray(from, from + each))
          if (from + each < bytes.length) setTimeout(() => send(from + each), 1)
          else near.pipe(far)
        }
        send(0)
        far.pipe(near)
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed({ server, port: typeof address === "object" ? (address?.port ?? 0) : 0 }))
      })
    }),
    ({ server }) => Effect.sync(() => server.close())
  )

const through = (address: Address.Address | undefined, port: number) =>
  String(address).replace(`:${portOf(address)}`, `:${port}`)

const exchange = (target: string) =>
  Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(target)
      const bytes = pattern(200_000)
      yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), bytes))
    })
  )

/** Sends these bytes as the proxy itself, and waits until it is hung up on. */
const sends = (address: Address.Address | undefined, bytes: Uint8Array, end = false) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(portOf(address), "127.0.0.1")
    socket.on("error", () => {}).resume()
    socket.on("close", () => resume(Effect.void))
    if (end) socket.end(bytes)
    else socket.write(bytes)
  })

const listened = (events: ReadonlyArray<Events.Event>) =>
  events.flatMap((event) =>
    event._tag === "Connected" && event.role === "listen" ? [[event.source, event.remote.replace(/~.*/, "")]] : []
  )

describe("a net listener behind a proxy", () => {
  it.live("serves whom the header says, in one piece or byte by byte, and loses nothing that came behind it", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      for (const [, header, source] of good) {
        for (const pieces of [1, header.length]) {
          const { port } = yield* proxy(portOf(address), () => header, pieces)
          yield* exchange(through(address, port))
          const [ip, remote] = listened(events).at(-1) ?? []
          assert.strictEqual(ip, source?.host ?? "127.0.0.1")
          if (source !== undefined) assert.strictEqual(remote, `net:${source.host}:${source.port}`)
        }
      }
    }).pipe(Effect.provide(behindProxy(events)))
  })

  it.live("limits each source behind it, and not the proxy", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      let last = 1
      const header = () => line(`PROXY TCP4 203.0.113.${last} 198.51.100.1 4711 8008`)
      const { port } = yield* proxy(portOf(address), header)
      for (; last <= 5; last++) yield* Multiserver.dial(through(address, port))
      last = 3
      yield* Effect.flip(Multiserver.dial(through(address, port)))
      const refused = events.flatMap((event) => (event._tag === "Refused" ? [[event.tag, event.source]] : []))
      assert.deepStrictEqual(refused, [["TooManyFromSource", "203.0.113.3"]])
    }).pipe(Effect.provide(behindProxy(events, { sourceConnections: 1, exemptLoopback: false })))
  })

  it.live("counts those as one whose source the proxy doesn't know", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", () => Effect.never)
      const { port } = yield* proxy(portOf(address), () => line("PROXY UNKNOWN"))
      yield* Multiserver.dial(through(address, port))
      yield* Effect.flip(Multiserver.dial(through(address, port)))
      const refused = events.flatMap((event) => (event._tag === "Refused" ? [[event.tag, event.source]] : []))
      assert.deepStrictEqual(refused, [["TooManyFromSource", "127.0.0.1"]])
    }).pipe(Effect.provide(behindProxy(events, { sourceConnections: 1, exemptLoopback: false })))
  })

  it.effect("refuses what is no header, with an event each, and one that never comes at the deadline", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      for (const [, bytes] of bad) yield* sends(address, bytes)
      yield* sends(address, Buffer.from("PROXY TCP4 203"), true)
      yield* turns
      const refused = events.flatMap((event) => (event._tag === "Refused" ? [event.tag] : []))
      assert.deepStrictEqual(refused, Array(bad.length + 1).fill("ProxyHeader"))
      // A proxy that looks whether we live, and says nothing.
      yield* sends(address, new Uint8Array(0), true)
      const late = yield* Effect.forkChild(sends(address, Buffer.from("PROXY TCP4")), { startImmediately: true })
      yield* turns
      yield* TestClock.adjust("300 millis")
      yield* Fiber.join(late)
      yield* turns
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "HandshakeFailed" ? [event.tag] : [])),
        ["TimedOut"]
      )
      assert.strictEqual(events.length, bad.length + 2)
    }).pipe(Effect.provide(behindProxy(events, { handshake: Duration.millis(300) })))
  })

  it.live.skipIf(process.platform !== "linux")("reads no header of who is no proxy: it is what it sends", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const header = line("PROXY TCP4 203.0.113.7 198.51.100.1 4711 8008")
      const [address] = yield* served("net:127.0.0.1:0", echo)
      const back = yield* Effect.callback<Buffer>((resume) => {
        const socket = net.connect({ port: portOf(address), host: "127.0.0.1", localAddress: "127.0.0.2" })
        socket.on("data", (bytes) => {
          socket.destroy()
          resume(Effect.succeed(bytes))
        })
        socket.write(header)
      })
      assert.deepStrictEqual(back, header)
      assert.strictEqual(listened(events)[0]?.[0], "127.0.0.2")
    }).pipe(Effect.provide(behindProxy(events)))
  })
})
