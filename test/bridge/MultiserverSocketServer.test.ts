import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as Socket from "effect/socket/Socket"
import * as SocketServer from "effect/socket/SocketServer"
import type { Address } from "../../src/Address.ts"
import { toSocket } from "../../src/bridge/MultiserverSocket.ts"
import * as MultiserverSocketServer from "../../src/bridge/MultiserverSocketServer.ts"
import * as Connection from "../../src/Connection.ts"
import { ListenError } from "../../src/ListenError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { multiserver, pattern, readAll, sameBytes, turns } from "../support/servers.ts"
import { reasonOf } from "./contract.ts"

class Add extends Rpc.make("Add", { payload: { a: Schema.Int, b: Schema.Int }, success: Schema.Int }) {}
class Count extends Rpc.make("Count", { payload: { to: Schema.Int }, success: Schema.Int, stream: true }) {}
class Reverse extends Rpc.make("Reverse", { payload: { bytes: Schema.Uint8Array }, success: Schema.Uint8Array }) {}
const Group = RpcGroup.make(Add, Count, Reverse)

const handlers = Group.toLayer({
  Add: ({ a, b }) => Effect.succeed(a + b),
  Count: ({ to }) => Stream.range(1, to),
  Reverse: ({ bytes }) => Effect.succeed(bytes.toReversed())
})

/** Serves the group over a listener, as long as the scope. */
const serveGroup = (targets: Multiserver.Target) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(targets)
    const server = Layer.succeed(SocketServer.SocketServer, MultiserverSocketServer.fromListener(listener))
    yield* Layer.build(
      RpcServer.layer(Group).pipe(
        Layer.provide([handlers, RpcServer.layerProtocolSocketServer]),
        Layer.provide([server, RpcSerialization.layerSchemaBinary()])
      )
    )
    return listener.addresses()
  })

const client = (target: Multiserver.Target) =>
  Layer.effect(Socket.Socket, toSocket(Multiserver.dial(target))).pipe(
    Layer.provideMerge(RpcSerialization.layerSchemaBinary()),
    (socket) => RpcClient.layerProtocolSocket().pipe(Layer.provide(socket))
  )

describe.each(["memory:m~shs", "net:127.0.0.1:0~shs"])("effect/rpc over %s", (target) => {
  it.live("calls, streams, and carries a megabyte each way", () =>
    Effect.gen(function* () {
      const [address] = yield* serveGroup(target)
      yield* Effect.gen(function* () {
        const { Add, Count, Reverse } = yield* RpcClient.make(Group)
        assert.strictEqual(yield* Add({ a: 1, b: 2 }), 3)
        assert.deepStrictEqual(
          yield* Stream.runCollect(Count({ to: 1000 })),
          Array.from({ length: 1000 }, (_, i) => i + 1)
        )
        const bytes = pattern(1 << 20)
        assert.isTrue(sameBytes(yield* Reverse({ bytes }), bytes.toReversed()))
        const sums = yield* Effect.forEach(
          Array.from({ length: 100 }, (_, i) => i),
          (a) => Add({ a, b: a }),
          {
            concurrency: "unbounded"
          }
        )
        assert.deepStrictEqual(
          sums,
          Array.from({ length: 100 }, (_, i) => 2 * i)
        )
      }).pipe(Effect.provide(client(address as Address)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("logs nothing that looks like our fault when a client vanishes", () =>
    Effect.gen(function* () {
      const logged: Array<string> = []
      const logger = Logger.make(({ logLevel, message }) => void logged.push(`${logLevel} ${message}`))
      yield* Effect.gen(function* () {
        const [address] = yield* serveGroup(target)
        const connection = yield* Multiserver.dial(address as Address)
        yield* connection.write(pattern(10))
        yield* turns
        yield* Connection.destroy(connection)
        yield* turns
      }).pipe(Effect.provide(multiserver()), Effect.provide(Logger.layer([logger])))
      assert.deepStrictEqual(logged, [])
    })
  )
})

describe("a SocketServer", () => {
  const echo = (socket: Socket.Socket) =>
    Effect.gen(function* () {
      const writer = yield* socket.writer
      const { pull } = yield* socket.reader
      return yield* Effect.forever(Effect.flatMap(pull, writer.writeAll), { disableYield: true })
    })

  it.live("knows where it is bound, in the words of sockets", () =>
    Effect.gen(function* () {
      const address = (target: string) => Effect.map(Multiserver.listen(target), MultiserverSocketServer.fromListener)
      const net = (yield* address("net:127.0.0.1:0~shs")).address
      assert.isTrue(NetAddress.isInetAddress(net))
      assert.match(String(net), /127\.0\.0\.1:\d+/)
      assert.match(String((yield* address("net:0.0.0.0:0~shs")).address), /127\.0\.0\.1:\d+/)
      assert.match(String((yield* address("net:::1:0~shs")).address), /\[::1\]:\d+/)
      const memory = (yield* address("memory:m")).address
      assert.strictEqual(memory._tag === "UnixPathAddress" && memory.path, "memory:m")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("of a layer has the listener beside it, with the addresses that can be dialed", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.SocketServer
      const listener = yield* MultiserverSocketServer.Listening
      yield* Effect.forkScoped(server.run((socket) => Effect.scoped(echo(socket))))
      const [address] = listener.addresses()
      assert.match(String(address), /^memory:m~shs:./)
      const connection = yield* Multiserver.dial(address as Address)
      yield* connection.write(pattern(10))
      yield* connection.end
      assert.strictEqual((yield* readAll(connection)).length, 10)
    }).pipe(Effect.provide(MultiserverSocketServer.layer("memory:m~shs")), Effect.provide(multiserver()))
  )

  it.live("serves each connection, whose end a handler needs not catch", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.SocketServer
      yield* Effect.forkScoped(server.run((socket) => Effect.scoped(echo(socket))))
      for (const size of [1, 300_000]) {
        const connection = yield* Multiserver.dial("memory:m")
        yield* Effect.forkChild(Effect.andThen(connection.write(pattern(size)), connection.end))
        assert.isTrue(sameBytes(yield* readAll(connection), pattern(size)))
      }
    }).pipe(Effect.provide(MultiserverSocketServer.layer("memory:m")), Effect.provide(multiserver()))
  )

  it.live("gives its handler the connection, that it may see who the peer is", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("memory:m~shs")
      const peers: Array<string> = []
      const handler = (socket: Socket.Socket) =>
        Effect.gen(function* () {
          const accepted = Option.getOrThrow(yield* Effect.serviceOption(MultiserverSocketServer.Accepted))
          peers.push(accepted.peer._tag)
          yield* echo(socket)
        })
      yield* Effect.forkScoped(MultiserverSocketServer.fromListener(listener).run(handler))
      const connection = yield* Multiserver.dial(listener.addresses()[0] as Address)
      yield* connection.end
      yield* readAll(connection)
      assert.deepStrictEqual(peers, ["Authenticated"])
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("breaks off what a handler leaves with an error of its own", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.SocketServer
      yield* Effect.forkScoped(server.run((socket) => Effect.andThen(socket.reader, Effect.fail("a bug of the user"))))
      const connection = yield* Multiserver.dial("memory:m")
      assert.strictEqual(reasonOf(yield* Effect.flip(readAll(connection))), "Reset")
    }).pipe(
      Effect.provide(MultiserverSocketServer.layer("memory:m")),
      Effect.provide(multiserver()),
      Effect.provide(Logger.layer([]))
    )
  )

  it.live("runs once: a second time is an error whose cause says so, and the first goes on", () =>
    Effect.gen(function* () {
      const server = MultiserverSocketServer.fromListener(yield* Multiserver.listen("memory:m~shs"))
      const first = yield* Effect.forkScoped(server.run(echo), { startImmediately: true })
      const reasonOfRun = Effect.map(Effect.flip(server.run(echo)), ({ reason }) =>
        reason.cause instanceof ListenError ? reason.cause.reason._tag : undefined
      )
      assert.strictEqual(yield* reasonOfRun, "AlreadyRunning")
      assert.isUndefined(first.pollUnsafe())
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* reasonOfRun, "Stopped")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("drains when it is interrupted: sockets close with 1001, and what was written arrives", () =>
    Effect.gen(function* () {
      const server = yield* SocketServer.SocketServer
      const closes: Array<string> = []
      const handler = (socket: Socket.Socket) =>
        Effect.scoped(echo(socket)).pipe(Effect.tapError((error) => Effect.sync(() => closes.push(error.message))))
      const running = yield* Effect.forkChild(server.run(handler))
      const connection = yield* Multiserver.dial("memory:m")
      yield* connection.write(pattern(10))
      assert.strictEqual((yield* connection.pull)[0].length, 10)
      yield* Fiber.interrupt(running)
      assert.strictEqual((yield* readAll(connection)).length, 0)
      assert.deepStrictEqual(closes, ["1001: draining"])
    }).pipe(Effect.provide(MultiserverSocketServer.layer("memory:m")), Effect.provide(multiserver()))
  )
})
