/** The views that `Connection` itself has: `stream` and `sink`. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { Address } from "../../src/Address.ts"
import * as Connection from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { echo, multiserver, pair, pattern, readAll, sameBytes, served, turns } from "../support/servers.ts"
import { cuts, reasonOf } from "./contract.ts"

const collect = (connection: Connection.Connection) =>
  Effect.map(Stream.runCollect(Connection.stream(connection)), (chunks) => Buffer.concat(chunks))

describe.each(["memory:m~shs", "net:127.0.0.1:0~shs"])("a stream and a sink over %s", (target) => {
  it.live("carry 1 MiB in random cuts there and back, to a clean end", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served(target, (connection) =>
        Stream.run(Connection.stream(connection), Connection.sink(connection))
      )
      const connection = yield* Multiserver.dial(address as Address)
      yield* Effect.forkChild(Stream.run(Stream.fromIterable(cuts(bytes)), Connection.sink(connection)))
      assert.isTrue(sameBytes(yield* collect(connection), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("half close: each side ends for itself", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Stream.run(Stream.make(pattern(10)), Connection.sink(near))
      assert.isTrue(sameBytes(yield* collect(far), pattern(10)))
      yield* Effect.forkChild(Stream.run(Stream.make(pattern(300_000)), Connection.sink(far)))
      assert.isTrue(sameBytes(yield* collect(near), pattern(300_000)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("end at once when there is nothing to say", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Stream.run(Stream.empty, Connection.sink(near))
      assert.strictEqual((yield* collect(far)).length, 0)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("fail with the reason when the peer vanishes, after what had arrived", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* far.write(pattern(1000))
      yield* far.flush
      yield* Effect.repeat(Effect.sleep(0), { times: 50 })
      yield* Connection.destroy(far)
      let received = 0
      const error = yield* Connection.stream(near).pipe(
        Stream.runForEach((chunk) => Effect.sync(() => (received += chunk.length))),
        Effect.flip
      )
      assert.strictEqual(received, 1000)
      assert.strictEqual(reasonOf(error), target.startsWith("net") ? "Truncated" : "Reset")
      const late = yield* Effect.flip(Stream.run(Stream.forever(Stream.make(pattern(1000))), Connection.sink(near)))
      assert.strictEqual(reasonOf(late), reasonOf(error))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("end with the connection's scope", () =>
    Effect.gen(function* () {
      const [address] = yield* served(target, echo)
      const scope = yield* Scope.make()
      const connection = yield* Scope.provide(Multiserver.dial(address as Address), scope)
      const reading = yield* Effect.forkChild(Effect.flip(collect(connection)), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(reasonOf(yield* Fiber.join(reading)), "LocallyClosed(closed)")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("leave no goodbye behind a source that fails", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const source = Stream.concat(Stream.make(pattern(10)), Stream.fail("the disk is broken" as const))
      assert.strictEqual(yield* Effect.flip(Stream.run(source, Connection.sink(near))), "the disk is broken")
      assert.strictEqual((yield* far.pull)[0].length, 10)
      const ended = yield* Effect.forkChild(readAll(far), { startImmediately: true })
      yield* turns
      assert.isUndefined(ended.pollUnsafe())
    }).pipe(Effect.provide(multiserver()))
  )
})

describe("a stream and a sink over memory:m~shs", () => {
  it.live("take from their source only what the peer reads", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const bytes = pattern(8 << 20)
      let taken = 0
      const source = Stream.fromIterable(cuts(bytes)).pipe(
        Stream.rechunk(1),
        Stream.tap((chunk) => Effect.sync(() => (taken += chunk.length)))
      )
      yield* Effect.forkScoped(Stream.run(source, Connection.sink(near)))
      yield* Effect.sleep("100 millis")
      assert.isBelow(taken, 1 << 20)
      assert.isTrue(sameBytes(yield* collect(far), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("take from the peer only what their consumer reads", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const bytes = pattern(8 << 20)
      let accepted = 0
      yield* Effect.forkScoped(
        Effect.andThen(
          Effect.forEach(cuts(bytes), (chunk) => Effect.map(far.write(chunk), () => (accepted += chunk.length))),
          far.end
        )
      )
      const pull = yield* Stream.toPull(Connection.stream(near))
      const first = yield* pull
      yield* Effect.sleep("100 millis")
      assert.isBelow(accepted, 1 << 20)
      const rest = yield* collect(near)
      assert.isTrue(sameBytes(Buffer.concat([...first, rest]), bytes))
    }).pipe(Effect.provide(multiserver()))
  )
})
