/** A peer whose frames cost most has a turn like everybody else, and what nobody reads stays little. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type { Connection } from "../../src/Connection.ts"
import * as Wire from "../fuzz/websocketWire.ts"
import { pattern, served, turns, until } from "../support/servers.ts"
import { portOf, upgrade } from "./plain.ts"
import { multiserver } from "./support.ts"

/** A TCP socket that has asked for a WebSocket and been answered. */
const raw = (port: number) =>
  Effect.acquireRelease(
    Effect.callback<net.Socket>((resume) => {
      const socket = net.connect(port, "127.0.0.1", () => socket.write(upgrade()))
      socket.on("error", () => {}).once("data", () => resume(Effect.succeed(socket)))
    }),
    (socket) => Effect.sync(() => void socket.destroy())
  )

const frame = (opcode: number, payload: Uint8Array, fin = true) =>
  Wire.encode({ fin, rsv: 0, opcode, masked: true, payload })

/** As many as fit in what the kernel gives in one read. */
const binary = Wire.opcodes.binary

const oneRead = (one: Uint8Array) => Buffer.concat(Array.from({ length: Math.floor(65_536 / one.length) }, () => one))

const accepted = Effect.gen(function* () {
  const arrived = yield* Queue.unbounded<Connection>()
  const [address] = yield* served("ws://127.0.0.1:0", (connection) =>
    Effect.andThen(Queue.offer(arrived, connection), Effect.never)
  )
  return { arrived, port: portOf(address) }
})

describe("a ws that is flooded", () => {
  it.live.each([
    ["messages of one byte", () => [frame(binary, pattern(1))], 65_536 / 7],
    ["fragments of one byte", () => [frame(binary, pattern(1), false), frame(0, pattern(1), true)], 65_536 / 7]
  ] as const)("with %s lets the event loop turn after a few of them", ([, frames, count]) =>
    Effect.gen(function* () {
      const { arrived, port } = yield* accepted
      const socket = yield* raw(port)
      const connection = yield* Queue.take(arrived)
      // Everything is in the kernel before the first byte of it is read.
      const flood = oneRead(Buffer.concat(frames()))
      let read = 0
      let most = 0
      let since = 0
      let watching = true
      const watch = () => {
        most = Math.max(most, read - since)
        since = read
        if (watching) setImmediate(watch)
      }
      watch()
      socket.write(flood)
      while (read < Math.floor(count) - 1) for (const { length } of yield* connection.pull) read += length
      watching = false
      most = Math.max(most, read - since)
      // A turn that the loop's own phases cut differently may hold two.
      assert.isAtMost(most, 3 * 64)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live.each([
    ["pongs", Wire.opcodes.pong, true],
    ["pings", Wire.opcodes.ping, true],
    ["empty messages", binary, true],
    ["empty fragments", binary, false]
  ] as const)("with %s, which carry nothing, ends it with a Close 1008", ([, opcode, fin]) =>
    Effect.gen(function* () {
      const { arrived, port } = yield* accepted
      const socket = yield* raw(port)
      const connection = yield* Queue.take(arrived)
      const heard: Array<Buffer> = []
      socket.on("data", (bytes) => heard.push(bytes))
      const first = frame(opcode, pattern(0), fin)
      const next = fin ? first : frame(0, pattern(0), false)
      socket.write(Buffer.concat([first, ...Array.from({ length: 2000 }, () => next)]))
      const error = yield* Effect.flip(connection.pull)
      assert.strictEqual("reason" in error && error.reason._tag, "ProtocolViolation")
      const closes = () => Wire.framesOf(Buffer.concat(heard)).filter((each) => each.opcode === Wire.opcodes.close)
      yield* until(() => closes().length > 0)
      assert.strictEqual(Buffer.from(closes()[0]?.payload ?? []).readUInt16BE(), 1008)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )

  it.live("forgets frames that carried nothing, so that who only pings may do it for ever", () =>
    Effect.gen(function* () {
      const { arrived, port } = yield* accepted
      const socket = yield* raw(port)
      socket.resume()
      const connection = yield* Queue.take(arrived)
      const heard: Array<Buffer> = []
      socket.on("data", (bytes) => heard.push(bytes))
      const some = Buffer.concat([
        ...Array.from({ length: 500 }, () => frame(Wire.opcodes.pong, pattern(0))),
        frame(Wire.opcodes.ping, pattern(1))
      ])
      const opcodes = () => Wire.framesOf(Buffer.concat(heard)).map(({ opcode }) => opcode)
      for (let i = 1; i <= 6; i++) {
        socket.write(some)
        // The pong says that all of these were read, and a ping after it that they are forgotten.
        yield* until(() => {
          const said = opcodes()
          const pong = said.lastIndexOf(Wire.opcodes.pong)
          return (
            said.filter((each) => each === Wire.opcodes.pong).length === i && said.includes(Wire.opcodes.ping, pong)
          )
        })
      }
      socket.write(frame(binary, pattern(10)))
      assert.strictEqual((yield* connection.pull)[0].length, 10)
    }).pipe(Effect.scoped, Effect.provide(multiserver({}, {}, { ping: "50 millis" })))
  )
})

describe("what nobody reads of a ws", () => {
  it.live("is no message as long as it may be, whole or not, however many there are", () =>
    Effect.gen(function* () {
      const { arrived, port } = yield* accepted
      const message = frame(binary, new Uint8Array(16 << 20))
      let taken = 0
      for (const part of [message, message.subarray(0, message.length - 1)]) {
        for (let i = 0; i < 8; i++) {
          const socket = yield* raw(port)
          yield* Queue.take(arrived)
          socket.write(part, (error) => {
            if (error === null || error === undefined) taken++
          })
        }
      }
      // In so many turns all of it would have been read.
      for (let i = 0; i < 20; i++) yield* turns
      assert.strictEqual(taken, 0)
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})
