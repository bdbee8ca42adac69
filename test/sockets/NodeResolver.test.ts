/** The resolvers: the system's with its few places, and the one that asks DNS servers. */
import * as dgram from "node:dgram"
import type { LookupAddress } from "node:dns"
import * as tcp from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as TestClock from "effect/testing/TestClock"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import { Resolver } from "../../src/Resolver.ts"
import * as NodeResolver from "../../src/sockets/NodeResolver.ts"
import { echo, served, turns, until } from "../support/servers.ts"

type Answer = (error: NodeJS.ErrnoException | null, found: ReadonlyArray<LookupAddress>) => void

/** A system whose resolver answers when the test says so. */
const system = (most: number) => {
  const asked: Array<{ readonly host: string; readonly answer: Answer }> = []
  const lookups = new NodeResolver.Lookups((host, answer) => void asked.push({ host, answer }), most)
  const ask = (host: string) => Effect.forkChild(lookups.resolve(host)[0], { startImmediately: true })
  return { asked, ask, hosts: () => asked.map(({ host }) => host) }
}

const found = (address: string) => [{ address, family: 4 }]

describe("the system's look-ups", () => {
  it.live("are as many at once as there are threads for them, in order, and one for each name", () =>
    Effect.gen(function* () {
      const { ask, asked, hosts } = system(2)
      const all = []
      for (const host of ["a", "b", "c", "a", "c", "d"]) all.push(yield* ask(host))
      assert.deepStrictEqual(hosts(), ["a", "b"])
      asked[0]?.answer(null, found("192.0.2.1"))
      assert.deepStrictEqual(hosts(), ["a", "b", "c"])
      asked[2]?.answer(null, found("192.0.2.3"))
      asked[1]?.answer(Object.assign(new Error("no"), { code: "ENOTFOUND" }), [])
      asked[3]?.answer(null, found("192.0.2.4"))
      const answers = yield* Effect.forEach(all, (fiber) => Effect.result(Fiber.join(fiber)))
      assert.deepStrictEqual(
        answers.map((each) => (Result.isSuccess(each) ? each.success.join() : each.failure.code)),
        ["192.0.2.1", "ENOTFOUND", "192.0.2.3", "192.0.2.1", "192.0.2.3", "192.0.2.4"]
      )
      assert.deepStrictEqual(hosts(), ["a", "b", "c", "d"])
    })
  )

  it.live("are forgotten when nobody wants them any more, unless they are under way", () =>
    Effect.gen(function* () {
      const { ask, asked, hosts } = system(1)
      const dead = yield* ask("dead")
      const many = yield* Effect.forEach(
        Array.from({ length: 1000 }, (_, i) => `name-${i}`),
        ask
      )
      yield* Effect.forEach([dead, ...many], Fiber.interrupt)
      const honest = yield* ask("honest")
      const again = yield* ask("dead")
      assert.deepStrictEqual(hosts(), ["dead"])
      asked[0]?.answer(null, found("192.0.2.1"))
      assert.deepStrictEqual(yield* Fiber.join(again), ["192.0.2.1"])
      // Nothing of the thousand stands before it.
      assert.deepStrictEqual(hosts(), ["dead", "honest"])
      asked[1]?.answer(null, found("192.0.2.2"))
      assert.deepStrictEqual(yield* Fiber.join(honest), ["192.0.2.2"])
    })
  )

  it.live("answer for a name that everybody has", () =>
    Effect.gen(function* () {
      const [question] = NodeResolver.system("localhost")
      assert.include([...(yield* question)], "127.0.0.1")
    })
  )
})

/** The port of a plain server. */
const listening = Effect.acquireRelease(
  Effect.callback<tcp.Server>((resume) => {
    const server = tcp.createServer((socket) => socket.on("error", () => {}).resume())
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.sync(() => server.close())
).pipe(Effect.map((server) => (server.address() as tcp.AddressInfo).port))

const net = Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer()))

describe("a dial of a name whose servers never answer", () => {
  const never = system(2)
  const layer = net.pipe(
    Layer.provide(
      Layer.succeed(
        Resolver,
        new NodeResolver.Lookups((host, answer) => void never.asked.push({ host, answer }), 2).resolve
      )
    )
  )

  it.effect("fails after 5 seconds with a reason of its own, and one of an IP does not wait behind it", () =>
    Effect.gen(function* () {
      const port = yield* listening
      const dead = yield* Effect.forEach(["dead.example", "other.example", "third.example"], (host) =>
        Effect.forkChild(Effect.flip(Multiserver.dial(`net:${host}:1`)))
      )
      yield* TestClock.adjust("1 second")
      // No time passes for the test, so that it ends at all says that nothing held it up.
      yield* Effect.scoped(Multiserver.dial(`net:127.0.0.1:${port}`))
      yield* TestClock.adjust("3999 millis")
      assert.isTrue(dead.every((fiber) => fiber.pollUnsafe() === undefined))
      yield* TestClock.adjust("1 millis")
      for (const fiber of dead) {
        const error = yield* Fiber.join(fiber)
        if (error._tag !== "DialError" || error.reason._tag !== "TimedOut") return assert.fail(String(error))
        assert.deepStrictEqual([error.reason.phase, error.reason.millis], ["lookup", 5000])
        assert.isTrue(error.isRetryable)
        assert.include(error.message, "the resolver did not answer within 5000 ms")
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("has as long as it is given, and all the time to connect after the answer", () =>
    Effect.gen(function* () {
      const port = yield* listening
      const slow = Layer.succeed(Resolver, () => [Effect.delay(Effect.succeed(["127.0.0.1"]), "40 seconds")])
      const context = yield* Layer.build(net.pipe(Layer.provide(slow)))
      const dial = yield* Effect.forkChild(
        Multiserver.dial(`net:slow.example:${port}`, { timeouts: { lookup: "1 minute" } }).pipe(
          Effect.scoped,
          Effect.provide(context)
        )
      )
      yield* TestClock.adjust("39 seconds")
      assert.isUndefined(dial.pollUnsafe())
      yield* TestClock.adjust("1 second")
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* TestClock.adjust("50 millis")
      yield* Fiber.join(dial)
    })
  )
})

// -----------------------------------------------------------------------------
// DNS servers
// -----------------------------------------------------------------------------

/** The name and the type of a question. */
const questionOf = (message: Buffer): { readonly name: string; readonly type: number; readonly end: number } => {
  const labels: Array<string> = []
  let at = 12
  for (let length = message[at] ?? 0; length > 0; length = message[at] ?? 0) {
    labels.push(message.toString("latin1", at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join("."), type: message.readUInt16BE(at + 1), end: at + 5 }
}

const types = { A: 1, AAAA: 28 } as const

/** An answer with these IPs, as their bytes; with none, that the name has no such record. */
const answerTo = (message: Buffer, end: number, type: number, ips: ReadonlyArray<ReadonlyArray<number>>, rcode = 0) => {
  const head = Buffer.from(message.subarray(0, 12))
  head.writeUInt16BE(0x8180 | rcode, 2)
  head.writeUInt16BE(ips.length, 6)
  head.writeUInt32BE(0, 8)
  const records = ips.map((ip) =>
    Buffer.concat([Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, ip.length]), Buffer.from(ip)])
  )
  return Buffer.concat([head, message.subarray(12, end), ...records])
}

/** A DNS server on loopback that answers as the test says, or not at all. */
const dnsServer = (
  zone: Readonly<Record<string, Partial<Record<"A" | "AAAA", ReadonlyArray<ReadonlyArray<number>>>>>>
) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly asked: Array<string>; readonly place: string; readonly socket: dgram.Socket }>(
      (resume) => {
        const asked: Array<string> = []
        const socket = dgram.createSocket("udp4")
        socket.on("message", (message, { address, port }) => {
          const { end, name, type } = questionOf(message)
          const kind = type === types.AAAA ? "AAAA" : "A"
          asked.push(`${name} ${kind}`)
          const records = zone[name]
          if (records === undefined) return socket.send(answerTo(message, end, type, [], 3), port, address)
          const ips = records[kind]
          if (ips !== undefined) socket.send(answerTo(message, end, type, ips), port, address)
        })
        socket.bind(0, "127.0.0.1", () =>
          resume(Effect.succeed({ asked, place: `127.0.0.1:${socket.address().port}`, socket }))
        )
      }
    ),
    ({ socket }) => Effect.sync(() => socket.close())
  )

describe("the resolver that asks DNS servers", () => {
  const six = [0x20, 0x01, 0x0d, 0xb8, ...Array.from({ length: 11 }, () => 0), 1]

  it.live("asks for both families at once, and what it doesn't find it says", () =>
    Effect.gen(function* () {
      const { asked, place } = yield* dnsServer({
        "both.example": {
          A: [
            [192, 0, 2, 1],
            [192, 0, 2, 2]
          ],
          AAAA: [six]
        },
        "four.example": { A: [[192, 0, 2, 4]], AAAA: [] }
      })
      const resolve = NodeResolver.fromDns({ servers: [place] })
      const answers = (host: string) =>
        Effect.forEach(
          resolve(host),
          (question) =>
            Effect.match(question, { onSuccess: (ips) => ips.toSorted().join(" "), onFailure: ({ code }) => code }),
          { concurrency: "unbounded" }
        )
      assert.deepStrictEqual(yield* answers("both.example"), ["2001:db8::1", "192.0.2.1 192.0.2.2"])
      assert.deepStrictEqual(asked.toSorted(), ["both.example A", "both.example AAAA"])
      assert.deepStrictEqual(yield* answers("four.example"), ["ENODATA", "192.0.2.4"])
      assert.deepStrictEqual(yield* answers("absent.example"), ["ENOTFOUND", "ENOTFOUND"])
      const before = asked.length
      for (const host of ["localhost", "app.localhost", "LOCALHOST."]) {
        assert.deepStrictEqual(yield* answers(host), ["127.0.0.1 ::1"])
      }
      assert.lengthOf(asked, before)
    })
  )

  it.live("leaves nothing of a question that is interrupted", () =>
    Effect.gen(function* () {
      const { asked, place } = yield* dnsServer({ "mute.example": {} })
      const questions = NodeResolver.fromDns({ servers: [place] })("mute.example")
      const fibers = yield* Effect.forEach(questions, (question) =>
        Effect.forkChild(question, { startImmediately: true })
      )
      yield* until(() => asked.length >= 2)
      const sockets = () => process.getActiveResourcesInfo().filter((name) => name === "UDPWRAP").length
      yield* Effect.forEach(fibers, Fiber.interrupt)
      yield* turns
      // The server's own.
      assert.isAtMost(sockets(), 1)
    })
  )

  it.live("leads a dial there, while another name's servers say nothing", () =>
    Effect.gen(function* () {
      const { asked, place } = yield* dnsServer({
        "mute.example": {},
        "here.example": { A: [[127, 0, 0, 1]] }
      })
      const layer = net.pipe(Layer.provide(NodeResolver.layerDns({ servers: [place] })))
      yield* Effect.gen(function* () {
        const [address] = yield* served("net:127.0.0.1:0", echo)
        const port = address?.transport._tag === "net" ? address.transport.port : 0
        const mute = yield* Effect.forEach([1, 2, 3, 4], () =>
          Effect.forkChild(Effect.flip(Multiserver.dial("net:mute.example:1", { timeouts: { lookup: "1 hour" } })))
        )
        yield* until(() => asked.length >= 8)
        // Its IPv6 is not answered either.
        const connection = yield* Multiserver.dial(`net:here.example:${port}`)
        assert.match(String(connection.remote), /^net:127\.0\.0\.1:/)
        yield* Effect.forEach(mute, Fiber.interrupt)
      }).pipe(Effect.provide(layer))
    })
  )

  it.live("says with a type that what it was given is no server", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(NodeResolver.layerDns({ servers: ["ns.example"] }))))
      assert.strictEqual(error._tag, "BadDnsServer")
      assert.include(error.message, "ns.example")
    })
  )

  it.live("says with a type that it can't be asked so often, or for so long a time, and asks when it can", () =>
    Effect.gen(function* () {
      for (const tries of [0, -1, 1.5, Number.NaN]) {
        const error = yield* Effect.flip(Effect.scoped(Layer.build(NodeResolver.layerDns({ tries }))))
        assert.strictEqual(error._tag, "BadDnsServer")
        assert.include(error.message, "tries")
      }
      const { place } = yield* dnsServer({ "here.example": { A: [[127, 0, 0, 1]] } })
      for (const timeout of [Duration.infinity, "30 days", "1500.5 millis"] as const) {
        const [, v4] = NodeResolver.fromDns({ servers: [place], timeout })("here.example")
        assert.deepStrictEqual(yield* v4 ?? Effect.succeed([]), ["127.0.0.1"])
      }
    })
  )
})
