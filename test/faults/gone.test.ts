/**
 * A connection that is gone is known to be gone: by `closed`, and by whatever holds it, at once and without a further
 * write. The peer of these has said goodbye before it breaks, so that nobody waits for its bytes any more.
 */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Scope from "effect/Scope"
import pull from "pull-stream"
import * as Address from "../../src/Address.ts"
import { toDuplex } from "../../src/bridge/Duplex.ts"
import { type End, toPullStream } from "../../src/bridge/PullStream.ts"
import * as Relay from "../../src/bridge/Relay.ts"
import { toWebStreams } from "../../src/bridge/WebStream.ts"
import * as Connection from "../../src/Connection.ts"
import * as Deflate from "../../src/deflate/Deflate.ts"
import * as Events from "../../src/Events.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { reasonOf } from "../bridge/contract.ts"
import { ports } from "../support/ports.ts"
import { pair, pattern, protocols, readAll, served } from "../support/servers.ts"
import { readPullStream } from "./views.ts"

const layer = Multiserver.layer([
  "memory",
  "memory~shs",
  "memory~deflate",
  "port",
  "port~shs",
  "net",
  "net~shs",
  "net~noise",
  "ws",
  "ws~shs"
]).pipe(
  Layer.provide([
    protocols(),
    ports("m"),
    WebSocket.layer(),
    Deflate.layer(),
    Limits.layer({ grace: Duration.millis(50) })
  ])
)

// -----------------------------------------------------------------------------
// a connection that breaks
// -----------------------------------------------------------------------------

/** A relay of TCP, which can break off what it has accepted. */
const middle = (port: number) =>
  Effect.gen(function* () {
    const accepted = new Set<net.Socket>()
    const server = yield* Effect.acquireRelease(
      Effect.callback<net.Server>((resume) => {
        const server = net.createServer({ allowHalfOpen: true }, (socket) => {
          accepted.add(socket)
          const onward = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true })
          for (const each of [socket, onward]) each.on("error", () => {})
          socket.pipe(onward).pipe(socket)
          socket.on("close", () => onward.destroy())
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          for (const socket of accepted) socket.destroy()
          server.close()
        })
    )
    const own = server.address()
    return {
      port: typeof own === "object" && own !== null ? own.port : 0,
      reset: Effect.sync(() => {
        for (const socket of accepted) socket.resetAndDestroy()
      })
    }
  })

const targets = {
  "memory~shs": "memory:m~shs",
  port: "port:m",
  "net~shs": "net:127.0.0.1:0~shs",
  "net~noise": "net:127.0.0.1:0~noise",
  "ws~shs": "ws://127.0.0.1:0~shs"
} as const
type Target = keyof typeof targets

/** The address with another port. */
const through = ({ transforms, transport }: Address.Address, port: number): Address.Address =>
  transport._tag === "ws"
    ? new Address.Address({ transport: new Address.Ws({ ...transport, port }), transforms })
    : new Address.Address({ transport: new Address.Net({ host: "127.0.0.1", port }), transforms })

/** Both ends of a connection, and what breaks it for the first. */
const breakable = (target: Target, name = "m") =>
  Effect.gen(function* () {
    const arrived = yield* Deferred.make<Connection.Connection>()
    const [address] = yield* served(targets[target].replace("memory:m", `memory:${name}`), (connection) =>
      Effect.andThen(Deferred.succeed(arrived, connection), Effect.never)
    )
    const own = address as Address.Address
    const { transport } = own
    if (transport._tag !== "net" && transport._tag !== "ws") {
      const near = yield* Multiserver.dial(own)
      const far = yield* Deferred.await(arrived)
      return { near, far, reset: Connection.destroy(far) }
    }
    const { port, reset } = yield* middle(transport.port)
    const near = yield* Multiserver.dial(through(own, port))
    return { near, far: yield* Deferred.await(arrived), reset }
  })

/** Over a WebSocket it is an end without a Close. */
const isBroken = (reason: string) => assert.include(["Reset", "Truncated"], reason)

describe.each(Object.keys(targets) as ReadonlyArray<Target>)(
  "when the peer has ended and breaks, over %s,",
  (target) => {
    it.live("a Duplex hears at once", () =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target)
        const duplex = yield* toDuplex(near)
        const failed = yield* Deferred.make<unknown>()
        duplex.on("error", (error) => Deferred.doneUnsafe(failed, Effect.succeed(error)))
        const ended = Effect.callback<void>((resume) => {
          duplex.once("end", () => resume(Effect.void)).resume()
        })
        yield* far.end
        yield* ended
        yield* reset
        isBroken(reasonOf(yield* Deferred.await(failed)))
      }).pipe(Effect.provide(layer))
    )

    it.live("web streams hear at once", () =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target)
        const { readable, writable } = yield* toWebStreams(near)
        const writer = writable.getWriter()
        const failed = Effect.promise(() =>
          writer.closed.then(
            () => undefined,
            (error: unknown) => error
          )
        )
        yield* far.end
        const { done } = yield* Effect.promise(() => readable.getReader().read())
        assert.isTrue(done)
        yield* reset
        isBroken(reasonOf(yield* failed))
      }).pipe(Effect.provide(layer))
    )

    it.live("what a pull-stream's sink reads is aborted at once", () =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target)
        const stream = yield* toPullStream(near)
        const aborted = yield* Deferred.make<End>()
        stream.sink((abort) => {
          if (abort) Deferred.doneUnsafe(aborted, Effect.succeed(abort))
        })
        yield* far.end
        assert.isUndefined(yield* readPullStream(stream))
        yield* reset
        isBroken(reasonOf(yield* Deferred.await(aborted)))
      }).pipe(Effect.provide(layer))
    )

    it.live("a relay fails at once, and breaks off the other side", () =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target, "left")
        const [other, b] = yield* pair("memory:right~shs")
        const relaying = yield* Effect.forkChild(Relay.between(near, b), { startImmediately: true })
        yield* far.end
        // The end has been passed on: from now on the relay waits for what the other one sends.
        assert.strictEqual((yield* readAll(other)).length, 0)
        yield* reset
        isBroken(reasonOf(yield* Effect.flip(Fiber.join(relaying))))
        isBroken(reasonOf(yield* Effect.flip(Effect.forever(Effect.andThen(other.write(pattern(10)), other.flush)))))
      }).pipe(Effect.provide(layer))
    )

    it.live.each([true, false])("forward fails at once, whether what it writes to has ended (%s)", (ends) =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target, "left")
        const [, silent] = yield* pair("memory:right~shs")
        const forwarding = yield* Effect.forkChild(Connection.forward(silent, near), { startImmediately: true })
        if (ends) {
          yield* far.end
          assert.strictEqual((yield* readAll(near)).length, 0)
        }
        yield* reset
        isBroken(reasonOf(yield* Effect.flip(Fiber.join(forwarding))))
      }).pipe(Effect.provide(layer))
    )

    it.live("`closed` succeeds at once, and says why", () =>
      Effect.gen(function* () {
        const { far, near, reset } = yield* breakable(target)
        const closed = yield* Effect.forkChild(near.closed, { startImmediately: true })
        yield* near.write(pattern(10))
        yield* far.pull
        yield* far.write(pattern(20))
        yield* far.end
        assert.strictEqual((yield* readAll(near)).length, 20)
        assert.isUndefined(closed.pollUnsafe())
        yield* reset
        const account = yield* Fiber.join(closed)
        isBroken(account.tag)
        // All layers count what they carry, and the plaintext is the least of it.
        assert.isAtLeast(account.bytesRead, 20)
        assert.isAtLeast(account.bytesWritten, 10)
        assert.deepStrictEqual(yield* near.closed, account)
      }).pipe(Effect.provide(layer))
    )
  }
)

// -----------------------------------------------------------------------------
// closed
// -----------------------------------------------------------------------------

describe.each([
  "memory:m",
  "memory:m~shs",
  "memory:m~deflate",
  "port:m",
  "port:m~shs",
  "net:127.0.0.1:0",
  "net:127.0.0.1:0~shs",
  "net:127.0.0.1:0~noise",
  "ws://127.0.0.1:0",
  "ws://127.0.0.1:0~shs"
])("`closed` of a connection over %s", (target) => {
  /** Ours, in a scope that can be closed alone, and the other end. */
  const opened = Effect.gen(function* () {
    const arrived = yield* Deferred.make<Connection.Connection>()
    const [address] = yield* served(target, (connection) =>
      Effect.andThen(Deferred.succeed(arrived, connection), Effect.never)
    )
    const scope = yield* Scope.fork(yield* Effect.scope)
    const near = yield* Scope.provide(Multiserver.dial(address as Address.Address), scope)
    return { near, far: yield* Deferred.await(arrived), scope }
  })

  it.live("waits while the connection is open, for each who asks, and is interrupted without a trace", () =>
    Effect.gen(function* () {
      const { near, far } = yield* opened
      const first = yield* Effect.forkChild(near.closed, { startImmediately: true })
      const second = yield* Effect.forkChild(near.closed, { startImmediately: true })
      yield* near.write(pattern(10))
      yield* far.pull
      assert.isUndefined(first.pollUnsafe())
      yield* Fiber.interrupt(first)
      yield* Connection.destroy(near)
      yield* Fiber.join(second)
    }).pipe(Effect.provide(layer))
  )

  it.live("is an end on both sides when both have said goodbye", () =>
    Effect.gen(function* () {
      const { near, far } = yield* opened
      yield* near.write(pattern(10))
      yield* near.end
      assert.strictEqual((yield* readAll(far)).length, 10)
      yield* far.end
      assert.strictEqual((yield* readAll(near)).length, 0)
      assert.strictEqual((yield* near.closed).tag, "end")
      assert.strictEqual((yield* far.closed).tag, "end")
    }).pipe(Effect.provide(layer))
  )

  it.live("says so when this side destroys it, which everybody else hears too", () =>
    Effect.gen(function* () {
      const { near, far } = yield* opened
      const parked = yield* Effect.forkChild(Effect.flip(near.pull), { startImmediately: true })
      const closed = yield* Effect.forkChild(near.closed, { startImmediately: true })
      const farClosed = yield* Effect.forkChild(far.closed, { startImmediately: true })
      const farReads = yield* Effect.forkChild(Effect.exit(Effect.forever(far.pull)), { startImmediately: true })
      yield* Connection.destroy(near)
      assert.include(["closed", "LocallyClosed"], (yield* Fiber.join(closed)).tag)
      assert.strictEqual(reasonOf(yield* Fiber.join(parked)), "LocallyClosed(closed)")
      assert.strictEqual(reasonOf(yield* Effect.flip(near.write(pattern(1)))), "LocallyClosed(closed)")
      // Once more is nothing new.
      yield* Connection.destroy(near)
      yield* Fiber.join(farReads)
      // A bare TCP stream tells an end that was no end only to who writes.
      if (!/^(net|memory):[^~]*$/.test(target)) isBroken((yield* Fiber.join(farClosed)).tag)
    }).pipe(Effect.provide(layer))
  )

  it.live("says that this side closed it when its scope closes", () =>
    Effect.gen(function* () {
      const { near, scope } = yield* opened
      const closed = yield* Effect.forkChild(near.closed, { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(closed)).tag, "closed")
      assert.strictEqual((yield* near.closed).tag, "closed")
    }).pipe(Effect.provide(layer))
  )

  it.live("says so when its scope closes because its user failed", () =>
    Effect.gen(function* () {
      const { near, scope } = yield* opened
      const closed = yield* Effect.forkChild(near.closed, { startImmediately: true })
      yield* Scope.close(scope, Exit.fail("no more"))
      assert.strictEqual((yield* Fiber.join(closed)).tag, "LocallyClosed")
    }).pipe(Effect.provide(layer))
  )
})

describe("a handler that only waits for `closed`", () => {
  it.live("returns when both ends of its pull-stream are done, and its place is free", () =>
    Effect.gen(function* () {
      const events = yield* Queue.unbounded<Events.Event>()
      const heard = Events.layer((event) => Effect.asVoid(Queue.offer(events, event)))
      const context = yield* Layer.build(layer.pipe(Layer.provide(heard)))
      yield* Effect.gen(function* () {
        let returned = 0
        const [address] = yield* served("memory:m~shs", (connection) =>
          Effect.gen(function* () {
            const stream = yield* toPullStream(connection)
            pull(stream, stream)
            const { tag } = yield* connection.closed
            assert.strictEqual(tag, "end")
            returned++
          })
        )
        for (let i = 1; i <= 65; i++) {
          yield* Effect.gen(function* () {
            const connection = yield* Multiserver.dial(address as Address.Address)
            yield* connection.write(pattern(10))
            yield* connection.end
            assert.strictEqual((yield* readAll(connection)).length, 10)
          }).pipe(Effect.scoped)
          for (let done = false; !done; ) {
            const event = yield* Queue.take(events)
            if (event._tag !== "Closed" || event.role !== "listen") continue
            assert.strictEqual(event.tag, "end")
            done = true
          }
          assert.strictEqual(returned, i)
        }
      }).pipe(Effect.provide(context))
    }).pipe(Effect.scoped)
  )
})
