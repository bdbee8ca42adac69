/** What `ws` does with messages, closes and silence, against plain WebSockets. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Queue from "effect/Queue"
import * as References from "effect/References"
import type { Connection } from "../../src/Connection.ts"
import type { ConnectionError } from "../../src/ConnectionError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, pattern, readAll, sameBytes, served, turns, until } from "../support/servers.ts"
import { connect, portOf, serve, upgrade } from "./plain.ts"
import { multiserver } from "./support.ts"

/** How a pull or a write fails, as words. */
const failure = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  Effect.match(effect, {
    onSuccess: () => "ok",
    onFailure: (error) => {
      if (Cause.isDone(error)) return "Done"
      const { reason } = error
      return "code" in reason ? `${reason._tag}(${reason.code})` : reason._tag
    }
  })

/** Both ends: ours, dialed, and a plain one. */
const dialed = (options: { readonly autoPong?: boolean } = {}) =>
  Effect.gen(function* () {
    const { address, clients } = yield* serve(options)
    const connection = yield* Multiserver.dial(address)
    return { connection, peer: yield* Queue.take(clients) }
  })

/** Both ends: ours, accepted, and a plain one. */
const accepted = Effect.gen(function* () {
  const arrived = yield* Queue.unbounded<Connection>()
  const [address] = yield* served("ws://127.0.0.1:0", (connection) =>
    Effect.andThen(Queue.offer(arrived, connection), Effect.never)
  )
  const peer = yield* connect(`ws://127.0.0.1:${portOf(address)}`)
  return { connection: yield* Queue.take(arrived), peer }
})

describe.each([
  ["dialed", dialed()],
  ["accepted", accepted]
] as const)("a bare ws, %s,", (_, both) => {
  it.live("sends what is written in one tick as one message", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      const writes = Effect.forEach(pattern(1000), (byte) => connection.write(Uint8Array.of(byte)), { discard: true })
      yield* Effect.provideService(writes, References.PreventSchedulerYield, true)
      assert.isTrue(sameBytes(yield* Queue.take(peer.messages), pattern(1000)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("sends messages of 64 KiB at most, and as few as that takes", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      yield* connection.writeAll([pattern(40_000, 1), pattern(40_000, 2), pattern(200_000, 3)])
      yield* connection.end
      yield* peer.closed
      const messages = yield* Queue.takeAll(peer.messages)
      assert.isTrue(
        sameBytes(Buffer.concat(messages), Buffer.concat([pattern(40_000, 1), pattern(40_000, 2), pattern(200_000, 3)]))
      )
      assert.isAtMost(Math.max(...messages.map(({ length }) => length)), 65_536)
      assert.strictEqual(messages.length, Math.ceil(280_000 / 65_536))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("leaves the bytes of a write as they are", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      const bytes = pattern(300_000)
      yield* connection.write(bytes)
      yield* connection.end
      yield* peer.closed
      assert.isTrue(sameBytes(bytes, pattern(300_000)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("reads messages however they are cut", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      const bytes = pattern(300_000)
      const lengths = [0, 1, 1, 7, 500, 511, 512, 513, 1, 5000, 0, 70_000, 100, 3]
      let at = 0
      for (let i = 0; at < bytes.length; i++) {
        const length = lengths[i % lengths.length] as number
        peer.ws.send(bytes.subarray(at, at + length))
        at += length
      }
      peer.ws.close()
      assert.isTrue(sameBytes(yield* readAll(connection), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes a message in fragments", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.send(pattern(10), { fin: false })
      peer.ws.send(pattern(20), { fin: true })
      peer.ws.close()
      assert.isTrue(sameBytes(yield* readAll(connection), Buffer.concat([pattern(10), pattern(20)])))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("ends with a Close 1000, and still delivers what the peer had sent before its own", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      // In the peer's socket when our Close arrives: more than is read without being asked for.
      for (let i = 0; i < 16; i++) peer.ws.send(pattern(65_536, i + 1))
      yield* connection.write(pattern(10))
      yield* connection.end
      // However long that takes.
      yield* turns
      const received = yield* readAll(connection)
      assert.strictEqual(received.length, 16 * 65_536)
      assert.isTrue(sameBytes(received.subarray(15 * 65_536), pattern(65_536, 16)))
      assert.strictEqual(yield* peer.closed, 1000)
      assert.isTrue(sameBytes(yield* Queue.take(peer.messages), pattern(10)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says that it has no half close", () =>
    Effect.map(both, ({ connection }) => assert.isFalse(connection.halfClose)).pipe(Effect.provide(multiserver()))
  )

  it.live("is closed once it has read to the peer's Close, without an end of its own", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.close()
      yield* readAll(connection)
      assert.strictEqual((yield* connection.closed).tag, "end")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes Close 1000 and one without a code for the clean end, and answers it", () =>
    Effect.gen(function* () {
      for (const code of [1000, undefined]) {
        const { connection, peer } = yield* both
        peer.ws.send(pattern(10))
        peer.ws.close(code)
        assert.isTrue(sameBytes(yield* readAll(connection), pattern(10)))
        assert.strictEqual(yield* peer.closed, 1000)
        yield* connection.end
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is truncated when the peer vanishes without a Close", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.terminate()
      assert.strictEqual(yield* failure(connection.pull), "Truncated")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is reset by a Close with another code, which it tells", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.send(pattern(10))
      peer.ws.close(4321, "why")
      assert.strictEqual((yield* connection.pull)[0].length, 10)
      assert.strictEqual(yield* failure(connection.pull), "Reset(WS_4321)")
      assert.strictEqual(yield* peer.closed, 4321)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fails writes after the peer's Close", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.close()
      yield* peer.closed
      const writes = Effect.forever(connection.write(pattern(10)))
      assert.strictEqual(yield* failure(writes), "Reset(EPIPE)")
      assert.strictEqual((yield* readAll(connection)).length, 0)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("ends at a text message with a Close 1003, after what came before it", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.send(pattern(10))
      peer.ws.send("text")
      assert.strictEqual((yield* connection.pull)[0].length, 10)
      assert.strictEqual(yield* failure(connection.pull), "ProtocolViolation")
      assert.strictEqual(yield* peer.closed, 1003)
    }).pipe(Effect.provide(multiserver()))
  )

  for (const span of ["infinity", "30 days", "1500.5 millis"] as const) {
    const duration = span === "infinity" ? Duration.infinity : span
    const options = { ping: duration, upgradeTimeout: duration }
    it.live(`listens and dials with timeouts of ${span}, and warns of none`, () =>
      Effect.gen(function* () {
        const warnings: Array<string> = []
        const hear = ({ name }: Error) => void warnings.push(name)
        process.on("warning", hear)
        const [address] = yield* served("ws://127.0.0.1:0", echo)
        const connection = yield* Multiserver.dial(address as NonNullable<typeof address>)
        yield* connection.write(pattern(10))
        assert.isTrue(sameBytes((yield* connection.pull)[0], pattern(10)))
        yield* turns
        process.off("warning", hear)
        assert.notInclude(warnings, "TimeoutOverflowWarning")
      }).pipe(Effect.provide(multiserver(options, {}, options)))
    )
  }

  it.live("answers pings, and goes on while pings are answered", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      const pings: Array<unknown> = []
      peer.ws.on("ping", (data) => pings.push(data))
      peer.ws.ping()
      yield* Effect.promise(() => new Promise((resolve) => peer.ws.once("pong", resolve)))
      yield* until(() => pings.length >= 4)
      peer.ws.send(pattern(10))
      assert.strictEqual((yield* connection.pull)[0].length, 10)
    }).pipe(Effect.provide(multiserver({}, {}, { ping: "50 millis" })))
  )

  it.live("stands while its own reader is slow, and tells the peer that it lives", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      let pongs = 0
      peer.ws.on("pong", () => pongs++)
      const body = pattern(4 << 20)
      for (let at = 0; at < body.length; at += 65_536) peer.ws.send(body.subarray(at, at + 65_536))
      // Nothing is read for much longer than a peer has to answer.
      yield* until(() => pongs >= 4)
      peer.ws.close()
      assert.isTrue(sameBytes(yield* readAll(connection), body))
    }).pipe(Effect.provide(multiserver({}, {}, { ping: "50 millis" })))
  )

  it.live("reads messages of 16 MiB, and no longer ones", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* both
      peer.ws.send(Buffer.alloc(16 << 20))
      for (let read = 0; read < 16 << 20; ) {
        for (const { length } of yield* connection.pull) {
          // No message is kept until it is whole.
          assert.isAtMost(length, 128 * 1024)
          read += length
        }
      }
      peer.ws.send(Buffer.alloc((16 << 20) + 1))
      assert.strictEqual(yield* failure(connection.pull), "ProtocolViolation")
      assert.strictEqual(yield* peer.closed, 1009)
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a ws", () => {
  it.live("times out at the second ping that nothing answers", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* dialed({ autoPong: false })
      let pings = 0
      peer.ws.on("ping", () => pings++)
      assert.strictEqual(yield* failure(connection.pull), "TimedOut")
      assert.strictEqual(pings, 2)
      assert.strictEqual(yield* peer.closed, 1006)
    }).pipe(Effect.provide(multiserver({}, {}, { ping: "50 millis" })))
  )

  it.live("reads messages as long as `maxMessage` says", () =>
    Effect.gen(function* () {
      const { connection, peer } = yield* dialed()
      peer.ws.send(pattern(1000))
      assert.strictEqual((yield* connection.pull)[0].length, 1000)
      peer.ws.send(pattern(1001))
      assert.strictEqual(yield* failure(connection.pull), "ProtocolViolation")
    }).pipe(Effect.provide(multiserver({}, {}, { maxMessage: 1000 })))
  )

  it.live("ends a stranger's connection at a text message or one above 128 KiB under shs, and serves the next", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0~shs", echo)
      const url = `ws://127.0.0.1:${portOf(address)}`
      for (const [message, code] of [
        ["text", 1003],
        [Buffer.alloc(128 * 1024 + 1), 1009]
      ] as const) {
        const stranger = yield* connect(url)
        stranger.ws.send(message)
        assert.strictEqual(yield* stranger.closed, code)
      }
      const connection = yield* Multiserver.dial(String(address))
      yield* connection.write(pattern(10))
      assert.strictEqual((yield* connection.pull)[0].length, 10)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("under shs is not closed because one side has finished", () =>
    Effect.gen(function* () {
      const arrived = yield* Queue.unbounded<Connection>()
      const [address] = yield* served("ws://127.0.0.1:0~shs", (connection) =>
        Effect.andThen(Queue.offer(arrived, connection), Effect.never)
      )
      const near = yield* Multiserver.dial(String(address))
      const far = yield* Queue.take(arrived)
      yield* near.end
      assert.strictEqual((yield* readAll(far)).length, 0)
      yield* turns
      const writer = yield* Effect.forkChild(Effect.andThen(far.write(pattern(8 << 20)), far.end))
      assert.isTrue(sameBytes(yield* readAll(near), pattern(8 << 20)))
      yield* Fiber.join(writer)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("leaves with all that it wrote, though the peer is slow and was still sending itself", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", (connection) => connection.write(pattern(1 << 20)))
      const { closed, messages, ws } = yield* connect(`ws://127.0.0.1:${portOf(address)}`)
      ws.pause()
      for (let i = 0; i < 16; i++) ws.send(pattern(65_536))
      // Until long after the handler has returned: what is left of the connection is with the kernel.
      yield* turns
      ws.resume()
      assert.strictEqual(yield* closed, 1000)
      assert.isTrue(sameBytes(Buffer.concat(yield* Queue.takeAll(messages)), pattern(1 << 20)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that has left is gone soon, also when the peer never answers its Close", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0", () => Effect.void)
      // Nothing is sent, so that what it reads is all that comes: our Close, and then the end.
      const ended = Effect.callback<void>((resume) => {
        const socket = net.connect(portOf(address), "127.0.0.1", () => socket.write(upgrade()))
        socket.on("error", () => {}).on("end", () => resume(Effect.void))
        socket.resume()
        return Effect.sync(() => socket.destroy())
      })
      yield* Effect.timeout(ended, "1 minute")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("offers and takes no compression", () =>
    Effect.gen(function* () {
      const { peer } = yield* dialed()
      assert.strictEqual(peer.ws.extensions, "")
      const ours = yield* accepted
      assert.strictEqual(ours.peer.ws.extensions, "")
    }).pipe(Effect.provide(multiserver()))
  )
})
