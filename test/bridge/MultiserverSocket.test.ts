import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { RpcClientError } from "effect/rpc/RpcClientError"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import type { Address } from "../../src/Address.ts"
import * as MultiserverSocket from "../../src/bridge/MultiserverSocket.ts"
import type { Connection } from "../../src/Connection.ts"
import { DialError } from "../../src/DialError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, multiserver, pair, pattern, readAll, sameBytes, served } from "../support/servers.ts"
import { contract, cuts, reasonOf } from "./contract.ts"

const isEnd = (error: Socket.SocketError) => error.reason._tag === "SocketCloseError" && error.reason.code === 1000

const open = (connection: Connection) =>
  Effect.gen(function* () {
    const socket = yield* MultiserverSocket.toSocket(Effect.succeed(connection))
    const writer = yield* socket.writer
    const pull = yield* Socket.readerBytes(socket)
    return {
      write: writer.write,
      end: writer.write(new Socket.CloseEvent()),
      read: pull.pipe(
        Effect.map((chunks) => new Uint8Array(Buffer.concat(chunks))),
        Effect.catchIf(isEnd, () => Effect.undefined)
      ),
      abort: writer.write(new Socket.CloseEvent(1011))
    }
  })

// What waits in a socket is a fiber of its user, and a write on a closed one waits for the next connection.
contract("a Socket", open, ["held bytes", "late writes"])

/** As one writes it for a Socket: an endless loop, ended by the close. */
const loop = (socket: Socket.Socket) =>
  Effect.gen(function* () {
    const writer = yield* socket.writer
    const { pull } = yield* socket.reader
    yield* pull.pipe(Effect.flatMap(writer.writeAll), Effect.forever({ disableYield: true }))
  }).pipe(
    Effect.scoped,
    Effect.catchReason("SocketError", "SocketCloseError", () => Effect.void)
  )

describe("a Socket", () => {
  it.live("is a channel that half closes when its input ends", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served("net:127.0.0.1:0~shs", echo)
      const socket = yield* MultiserverSocket.toSocket(Multiserver.dial(address as Address))
      const chunks = yield* Stream.fromIterable(cuts(bytes)).pipe(
        Stream.pipeThroughChannel(Socket.toChannel(socket)),
        Stream.catchIf(isEnd, () => Stream.empty),
        Stream.runCollect
      )
      assert.isTrue(sameBytes(Buffer.concat(chunks), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("dials each time that its reader is acquired, and not before", () =>
    Effect.gen(function* () {
      let accepted = 0
      const [address] = yield* served("memory:m~shs", (connection) => {
        accepted++
        return echo(connection)
      })
      const socket = yield* MultiserverSocket.toSocket(Multiserver.dial(address as Address))
      const writer = yield* socket.writer
      assert.strictEqual(accepted, 0)
      for (const time of [1, 2]) {
        // Waits for the connection that comes only then.
        const writing = yield* Effect.forkChild(writer.write("hello"), { startImmediately: true })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { pull } = yield* socket.reader
            assert.strictEqual(String(Buffer.from((yield* pull)[0] as Uint8Array)), "hello")
          })
        )
        yield* Fiber.join(writing)
        assert.strictEqual(accepted, time)
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fails to open with the DialError, and opens when it is tried again", () =>
    Effect.gen(function* () {
      const socket = yield* MultiserverSocket.toSocket(Multiserver.dial("memory:m"))
      const error = yield* Effect.flip(Effect.scoped(socket.reader))
      assert.strictEqual(error.reason._tag, "SocketOpenError")
      const cause = error.reason._tag === "SocketOpenError" ? error.reason.cause : undefined
      assert.strictEqual(cause instanceof DialError && cause.reason._tag, "Refused")
      yield* served("memory:m", echo)
      yield* socket.reader
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("prints why it failed to open, also within an RpcClientError and after it was sent", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Effect.flatMap(Socket.Socket, ({ reader }) => reader)))
      const cause = error.reason._tag === "SocketOpenError" ? error.reason.cause : undefined
      assert.instanceOf(cause, DialError)
      assert.include(cause.message, "nothing listens")
      assert.strictEqual(error.message, cause.message)
      assert.include(Cause.pretty(Cause.fail(error)), cause.message)
      assert.include(new RpcClientError({ reason: error.reason }).message, cause.message)
      const sent = JSON.parse(JSON.stringify(yield* Schema.encodeEffect(Socket.SocketErrorReason)(error.reason)))
      const received = yield* Schema.decodeEffect(Socket.SocketErrorReason)(sent)
      assert.include(String(received.cause), cause.message)
    }).pipe(Effect.provide(MultiserverSocket.layer("memory:m").pipe(Layer.provide(multiserver()))))
  )

  it.live("is a layer whose writer follows the connections, and waits while there is none", () =>
    Effect.gen(function* () {
      const socket = yield* Socket.Socket
      const writer = yield* socket.writer
      const waiting = yield* Effect.forkChild(writer.write("first"), { startImmediately: true })
      for (const word of ["first", "second"]) {
        const serving = yield* Scope.make()
        yield* Scope.provide(served("memory:m", echo), serving)
        const reading = yield* Scope.make()
        const { pull } = yield* Scope.provide(socket.reader, reading)
        yield* word === "first" ? Fiber.join(waiting) : writer.write(word)
        assert.strictEqual(String(Buffer.from((yield* pull)[0] as Uint8Array)), word)
        yield* Scope.close(serving, Exit.void)
        const error = yield* Effect.flip(pull)
        assert.strictEqual(error.reason._tag, "SocketCloseError")
        yield* Scope.close(reading, Exit.void)
        assert.strictEqual((yield* Effect.flip(Effect.scoped(socket.reader))).reason._tag, "SocketOpenError")
      }
    }).pipe(Effect.provide(Layer.provideMerge(MultiserverSocket.layer("memory:m"), multiserver())), Effect.scoped)
  )

  it.live("half closes when its writer's scope closes, and doesn't wait for a peer that stalls", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const socket = yield* MultiserverSocket.toSocket(Effect.succeed(near))
      const { pull } = yield* socket.reader
      const writing = yield* Effect.forkChild(
        Effect.scoped(Effect.flatMap(socket.writer, (writer) => writer.write("to a slow reader")))
      )
      yield* Fiber.join(writing)
      assert.strictEqual(String(Buffer.from(yield* readAll(far))), "to a slow reader")
      yield* far.write(pattern(10))
      assert.strictEqual((yield* pull)[0].length, 10)

      const stalled = yield* pair("memory:stalled~shs")
      const other = yield* MultiserverSocket.toSocket(Effect.succeed(stalled[0]))
      yield* other.reader
      const scope = yield* Scope.make()
      const writer = yield* Scope.provide(other.writer, scope)
      yield* Effect.forkChild(Effect.ignore(writer.write(pattern(4 << 20))), { startImmediately: true })
      assert.isTrue(Option.isSome(yield* Effect.timeoutOption(Scope.close(scope, Exit.void), "1 minute")))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says goodbye when the loop over it ends by the peer's close, after everything it wrote", () =>
    Effect.gen(function* () {
      const heard = yield* Deferred.make<Uint8Array>()
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.gen(function* () {
          // The peer of the loop: speaks, ends, and then reads all to the goodbye.
          yield* connection.write(pattern(300_000))
          yield* connection.end
          yield* Deferred.succeed(heard, yield* readAll(connection))
        })
      )
      yield* loop(yield* MultiserverSocket.toSocket(Multiserver.dial(address as Address)))
      assert.isTrue(sameBytes(yield* Deferred.await(heard), pattern(300_000)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says no goodbye when the loop over it is interrupted", () =>
    Effect.gen(function* () {
      const accepted = yield* Deferred.make<void>()
      const heard = yield* Deferred.make<string>()
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.gen(function* () {
          yield* Deferred.succeed(accepted, undefined)
          yield* Deferred.succeed(heard, reasonOf(yield* Effect.flip(readAll(connection))))
        })
      )
      const socket = yield* MultiserverSocket.toSocket(Multiserver.dial(address as Address))
      const fiber = yield* Effect.forkChild(loop(socket))
      yield* Deferred.await(accepted)
      yield* Fiber.interrupt(fiber)
      assert.include(["Truncated", "Reset"], yield* Deferred.await(heard))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("over an open connection says no goodbye when it is left by a failure", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const socket = yield* MultiserverSocket.toSocket(Effect.succeed(near))
      yield* Effect.ignore(Effect.scoped(Effect.andThen(socket.reader, Effect.fail("a bug of the user"))))
      yield* Effect.forkChild(Effect.ignore(near.end))
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("closes with the code that its writer gives", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const socket = yield* MultiserverSocket.toSocket(Effect.succeed(near))
      const { pull } = yield* socket.reader
      const writer = yield* socket.writer
      const parked = yield* Effect.forkChild(Effect.flip(pull), { startImmediately: true })
      yield* writer.write(new Socket.CloseEvent(1009, "too big"))
      assert.strictEqual((yield* Fiber.join(parked)).message, "1009: too big")
    }).pipe(Effect.provide(multiserver()))
  )
})
