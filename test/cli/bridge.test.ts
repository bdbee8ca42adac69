/** `bridge` between a listener and a dialer. Who vanishes, and a bridge at a signal, are processes. */
import { randomBytes } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { WebSocket } from "ws"
import { bridgeInside, inside, listenInside, startInside } from "./inside.ts"
import { bridgeGranting, eventsOf, listen, sha256, start, unbound } from "./support.ts"

const MiB = 1024 * 1024

describe.concurrent("bridge", () => {
  it.live("lets a page reach a peer that only speaks TCP", () =>
    Effect.gen(function* () {
      const { address: tcp } = yield* listenInside("net:127.0.0.1:0", "--echo")
      const origin = "http://localhost:5173"
      const { address: web, bridge: between } = yield* bridgeInside("ws://127.0.0.1:0", tcp, "--origin", origin)
      const page = yield* Effect.acquireRelease(
        Effect.sync(() => new WebSocket(web, { headers: { origin } })),
        (socket) => Effect.sync(() => socket.terminate())
      )
      const bytes = randomBytes(MiB)
      const back = yield* Effect.callback<Buffer>((resume) => {
        const received: Array<Buffer> = []
        page.on("open", () => page.send(bytes))
        page.on("message", (data: Buffer) => {
          received.push(data)
          const all = Buffer.concat(received)
          if (all.length >= bytes.length) resume(Effect.succeed(all))
        })
      })
      assert.strictEqual(sha256(back), sha256(bytes))
      page.close()
      const closed = yield* between.event("closed")
      assert.deepInclude(closed, { bytesRead: MiB, bytesWritten: MiB, reason: "end" })
    })
  )

  it.live("carries each direction to its end on its own, with the events of both sides", () =>
    Effect.gen(function* () {
      const { address: there, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const { address, bridge: between } = yield* bridgeInside("net:127.0.0.1:0", there, "--once")
      const connect = yield* startInside(["connect", address])
      yield* connect.end("question")
      assert.strictEqual(String(yield* listener.received(8)), "question")
      yield* listener.end("the answer, long after")
      assert.strictEqual(String((yield* connect.exit).stdout), "the answer, long after")
      const { code, stderr, stdout } = yield* between.exit
      assert.strictEqual(code, 0)
      assert.strictEqual(String(stdout), "")
      const of = (name: string, role: string) =>
        eventsOf(stderr).filter((event) => event.event === name && event.role === role)
      assert.lengthOf(of("connected", "listen"), 1)
      assert.deepInclude(of("connected", "dial")[0], { address: there, peer: there.split("~shs:")[1] ?? "" })
      assert.deepInclude(of("closed", "listen")[0], { bytesRead: 8, bytesWritten: 22, reason: "end" })
      assert.deepInclude(of("closed", "dial")[0], { bytesRead: 22, bytesWritten: 8, reason: "end" })
    })
  )

  it.live("serves many at a time, a dial for each", () =>
    Effect.gen(function* () {
      const { address: there } = yield* listenInside("net:127.0.0.1:0~shs", "--echo")
      const { address } = yield* bridgeInside("net:127.0.0.1:0", there)
      yield* Effect.forEach(
        [0, 1, MiB],
        (size) =>
          Effect.gen(function* () {
            const input = randomBytes(size)
            const { code, stdout } = yield* inside(["connect", address], { input })
            assert.strictEqual(code, 0)
            assert.strictEqual(sha256(stdout), sha256(input))
          }),
        { concurrency: "unbounded" }
      )
    })
  )

  it.live("stops who sends while nobody reads at the other end, and loses nothing", () =>
    Effect.gen(function* () {
      const listener = yield* start(["listen", "--json", "net:127.0.0.1:0"], { unread: true })
      yield* listener.end()
      const { address, bridge: between } = yield* bridgeInside("ws://127.0.0.1:0~shs", yield* listener.address)
      const connect = yield* start(["connect", "--json", address])
      yield* between.event("connected")
      const bytes = randomBytes(64 * MiB)
      let sent = 0
      const sending = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (; sent < bytes.length; sent += MiB) yield* connect.write(bytes.subarray(sent, sent + MiB))
          yield* connect.end()
        })
      )
      // Until it stalls: the pipes, the sockets and the bounded buffers are full.
      for (let before = -1; before < sent || sent === 0; ) {
        before = sent
        yield* Effect.sleep("700 millis")
      }
      assert.isBelow(sent, 40 * MiB)
      listener.collect()
      yield* Fiber.join(sending)
      assert.strictEqual(sha256((yield* listener.exit).stdout), sha256(bytes))
      assert.strictEqual((yield* connect.exit).code, 0)
    })
  )

  it.live("takes the address to dial from the environment", () =>
    Effect.gen(function* () {
      const { address: there } = yield* listenInside("net:127.0.0.1:0", "--echo")
      const between = yield* start(["bridge", "--json", "net:127.0.0.1:0"], { env: { MULTISERVER_ADDRESS: there } })
      assert.strictEqual(String((yield* inside(["connect", yield* between.address], { input: "hi" })).stdout), "hi")
    })
  )
})

describe.concurrent("what breaks on one side of a bridge breaks on the other:", () => {
  it.live("a dialer that vanishes in the middle of what it sends", () =>
    Effect.gen(function* () {
      const { address: there, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const { address, bridge: between } = yield* bridgeInside("net:127.0.0.1:0~shs", there, "--once")
      const connect = yield* start(["connect", address])
      yield* connect.write("half of wh")
      yield* listener.received(10)
      yield* connect.kill("SIGKILL")
      assert.strictEqual((yield* listener.exit).code, 7)
      const { code, stderr } = yield* between.exit
      assert.strictEqual(code, 7)
      assert.deepInclude(eventsOf(stderr).at(-1), { event: "error", tag: "ConnectionError", reason: "Truncated" })
    })
  )

  it.live("a listener that vanishes in the middle of what it sends", () =>
    Effect.gen(function* () {
      const { address: there, listener } = yield* listen("net:127.0.0.1:0~shs")
      const { address, bridge: between } = yield* bridgeInside("net:127.0.0.1:0~shs", there)
      const connect = yield* startInside(["connect", address])
      yield* listener.write("half of wh")
      yield* connect.received(10)
      yield* listener.kill("SIGKILL")
      assert.strictEqual((yield* connect.exit).code, 7)
      assert.deepInclude(yield* between.event("closed"), { role: "dial", reason: "Truncated" })
    })
  )

  it.live("a dial that fails, of which the others hear nothing", () =>
    Effect.gen(function* () {
      const { address, bridge: between } = yield* bridgeInside("net:127.0.0.1:0~shs", "net:127.0.0.1:1")
      for (let i = 0; i < 2; i++) assert.strictEqual((yield* inside(["connect", address])).code, 7)
      const failed = between.events().filter(({ event }) => event === "dial-failed")
      assert.lengthOf(failed, 2)
      assert.deepInclude(failed[0], { reason: "Refused" })
      assert.match(failed[0]?.from ?? "", /^net:127\.0\.0\.1:\d+~shs:/)
      assert.isEmpty(between.events().filter(({ event }) => event === "log"))
    })
  )

  it.live("the dial of --once, which decides the exit code", () =>
    Effect.gen(function* () {
      const { address, bridge: between } = yield* bridgeInside("net:127.0.0.1:0~shs", "net:127.0.0.1:1", "--once")
      assert.strictEqual((yield* inside(["connect", address])).code, 7)
      const { code, stderr } = yield* between.exit
      assert.strictEqual(code, 3)
      assert.deepInclude(eventsOf(stderr).at(-1), { event: "error", tag: "DialError", reason: "Refused" })
    })
  )
})

describe.concurrent("a bridge at a signal", () => {
  it.live("carries an answer whose question was complete, within the grace time", () =>
    Effect.gen(function* () {
      const { address: there, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const { address, bridge: between } = yield* bridgeGranting("10 minutes")("net:127.0.0.1:0~shs", there)
      const connect = yield* startInside(["connect", address])
      yield* connect.end("question")
      yield* listener.received(8)
      yield* between.kill("SIGTERM")
      yield* unbound(address)
      yield* listener.end("answer")
      const connected = yield* connect.exit
      assert.strictEqual(String(connected.stdout), "answer")
      assert.strictEqual(connected.code, 0)
      assert.strictEqual((yield* listener.exit).code, 0)
      assert.strictEqual((yield* between.exit).code, 0)
    })
  )

  // That it is the grace time that ends it, a shorter one shows; `signals.test.ts` has the sum of the defaults.
  it.live("ends what is not over within 10 s, without a goodbye to either side", () =>
    Effect.gen(function* () {
      const { address: there, listener } = yield* listenInside("net:127.0.0.1:0~shs")
      const { address, bridge: between } = yield* bridgeGranting("1 second")("net:127.0.0.1:0~shs", there)
      const connect = yield* startInside(["connect", address])
      yield* connect.write("and")
      yield* listener.received(3)
      yield* between.kill("SIGINT")
      assert.strictEqual((yield* between.exit).code, 130)
      assert.deepStrictEqual([(yield* connect.exit).code, (yield* listener.exit).code], [7, 7])
    })
  )
})
