import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import pull from "pull-stream"
import { type Address, format } from "../../src/Address.ts"
import { type Callback, type End, type PullStream, toPullStream } from "../../src/bridge/PullStream.ts"
import type * as Connection from "../../src/Connection.ts"
import { Identity } from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { multiserver, pair, pattern, readAll, sameBytes, served, turn } from "../support/servers.ts"
import { contract, cuts, outlivesItsHandler, reasonOf, uncaught } from "./contract.ts"

/** Something that is pushed to, for a sink to read. */
const pushable = () => {
  interface Item {
    readonly chunk: Uint8Array
    readonly done: (error: End) => void
  }
  const items: Array<Item> = []
  /** The one that was given, until the sink asks for the next. */
  let given: Item | undefined
  let waiting: Callback<Uint8Array> | undefined
  let end: End = null
  let aborted: End = null
  const serve = () => {
    if (waiting === undefined || (items.length === 0 && end === null)) return
    const callback = waiting
    waiting = undefined
    given = items.shift()
    if (given === undefined) callback(end)
    else callback(null, given.chunk)
  }
  return {
    /** `done` is called when the sink asks for the next one, or has aborted. */
    push: (chunk: Uint8Array, done: (error: End) => void) => {
      if (aborted) return done(aborted)
      items.push({ chunk, done })
      serve()
    },
    end: () => {
      end = true
      serve()
    },
    aborted: () => aborted,
    source: (abort: End, callback: Callback<Uint8Array>) => {
      given?.done(abort)
      given = undefined
      if (!abort) {
        waiting = callback
        return serve()
      }
      aborted = abort
      for (const item of items) item.done(abort)
      waiting?.(abort)
      callback(abort)
    }
  }
}

const next = (stream: PullStream): Effect.Effect<Uint8Array | undefined, unknown> =>
  Effect.callback((resume) =>
    stream.source(null, (end, data) =>
      resume(end === true ? Effect.succeed(undefined) : end ? Effect.fail(end) : Effect.succeed(data))
    )
  )

const open = (connection: Connection.Connection) =>
  Effect.map(toPullStream(connection), (stream) => {
    const pushed = pushable()
    stream.sink(pushed.source)
    return {
      write: (chunk: Uint8Array) =>
        Effect.callback<void, unknown>((resume) =>
          pushed.push(chunk, (error) => resume(error ? Effect.fail(error) : Effect.void))
        ),
      end: Effect.sync(() => pushed.end()),
      read: next(stream),
      abort: Effect.callback<void>((resume) => stream.source(new Error("given up"), () => resume(Effect.void)))
    }
  })

contract("a pull-stream", open)
outlivesItsHandler("a pull-stream", open)

const collect = (stream: PullStream) =>
  Effect.callback<Uint8Array, Error>((resume) =>
    pull(
      stream,
      pull.collect((error, chunks) =>
        resume(
          error === null
            ? Effect.succeed(new Uint8Array(Buffer.concat(chunks as Array<Uint8Array>)))
            : Effect.fail(error)
        )
      )
    )
  )

describe("a pull-stream", () => {
  it.live("is one for pull, on both sides", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.gen(function* () {
          const stream = yield* toPullStream(connection)
          pull(stream, stream)
          yield* Effect.never
        })
      )
      const stream = yield* Effect.flatMap(Multiserver.dial(address as Address), toPullStream)
      pull(pull.values(cuts(bytes)), stream)
      assert.isTrue(sameBytes(yield* collect(stream), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("has the fields of a multiserver stream", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      assert.strictEqual(stream.address, format(near.remote))
      const { publicKey } = yield* Identity
      assert.isTrue(Buffer.isBuffer(stream.remote))
      assert.isTrue(sameBytes(stream.remote as Uint8Array, publicKey))
      yield* far.write(pattern(10))
      assert.isTrue(Buffer.isBuffer(yield* next(stream)))
      const [bare] = yield* pair("memory:bare")
      assert.isUndefined((yield* toPullStream(bare)).remote)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes a hundred thousand values of a synchronous source, text or bytes", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      pull(pull.values(Array.from({ length: 100_000 }, (_, i) => (i % 2 === 0 ? "é" : Uint8Array.of(0)))), stream)
      const received = yield* readAll(far)
      assert.isTrue(sameBytes(received, Buffer.from("é\0".repeat(50_000))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("carries nothing but text and bytes", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      const ended = Effect.callback<unknown>((resume) =>
        pull(
          pull.values(JSON.parse("[{}]")),
          pull.through(null, (error) => resume(Effect.succeed(error))),
          stream
        )
      )
      assert.instanceOf(yield* ended, TypeError)
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("answers the waiting read first when it is aborted, and aborts what its sink reads", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      const pushed = pushable()
      stream.sink(pushed.source)
      const given = new Error("given up")
      const order: Array<unknown> = []
      stream.source(null, (end) => order.push(["read", end]))
      stream.source(given, (end) => order.push(["abort", end]))
      stream.source(null, (end) => order.push(["late", end]))
      assert.deepStrictEqual(order, [
        ["read", given],
        ["abort", given],
        ["late", given]
      ])
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
      yield* turn
      assert.strictEqual(pushed.aborted(), given)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is aborted by a through that has enough", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      yield* far.write(pattern(10))
      const taken = yield* Effect.callback<number>((resume) =>
        pull(
          stream,
          pull.take(1),
          pull.collect((_, chunks) => resume(Effect.succeed(chunks.length)))
        )
      )
      assert.strictEqual(taken, 1)
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("says no goodbye after an error in what its sink reads", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const stream = yield* toPullStream(near)
      pull(pull.error(new Error("the disk is broken")), stream)
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("aborts what its sink reads when the peer vanishes, and when its scope closes", () =>
    Effect.gen(function* () {
      for (const leave of ["vanish", "scope"] as const) {
        const [near, far] = yield* pair(`memory:${leave}~shs`)
        const pushed = pushable()
        yield* Effect.scoped(
          Effect.gen(function* () {
            const stream = yield* toPullStream(near)
            stream.sink(pushed.source)
            if (leave === "scope") return
            ;(yield* toPullStream(far)).source(true, () => {})
            yield* Effect.flip(next(stream))
            yield* turn
            assert.strictEqual(reasonOf(pushed.aborted()), "Reset")
          })
        )
        yield* turn
        assert.strictEqual(reasonOf(pushed.aborted()), leave === "vanish" ? "Reset" : "LocallyClosed(closed)")
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("gives nothing more after it is aborted, though it has more", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m")
      const stream = yield* toPullStream(near)
      yield* far.writeAll([pattern(1), pattern(2)])
      assert.strictEqual((yield* next(stream))?.length, 1)
      stream.source(true, () => {})
      assert.isUndefined(yield* next(stream))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("keeps the order when it is asked again before it has answered", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m")
      const stream = yield* toPullStream(near)
      const reads = yield* Effect.forEach([1, 2], () => Effect.forkChild(next(stream), { startImmediately: true }))
      yield* far.writeAll([pattern(1), pattern(2), pattern(3)])
      assert.deepStrictEqual(
        (yield* Fiber.joinAll(reads)).map((chunk) => chunk?.length),
        [1, 2]
      )
      yield* far.write(pattern(4))
      yield* turn
      assert.strictEqual((yield* next(stream))?.length, 3)
      assert.strictEqual((yield* next(stream))?.length, 4)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("writes on when the listener stops, and an echo gets its goodbye", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const received: Array<Uint8Array> = []
      for (const kind of ["echo", "late"] as const) {
        const [address] = yield* served(`memory:${kind}~shs`, (connection) =>
          Effect.gen(function* () {
            const stream = yield* toPullStream(connection)
            const pushed = pushable()
            const told = Effect.callback<void>((resume) =>
              pull(
                stream,
                pull.through(null, () => resume(Effect.void)),
                kind === "echo" ? stream : pull.collect(() => {})
              )
            )
            if (kind === "echo") return yield* Effect.andThen(told, turn)
            stream.sink(pushed.source)
            yield* told
            yield* turn
            pushed.push(pattern(10), () => {})
          })
        ).pipe(Scope.provide(scope))
        const connection = yield* Multiserver.dial(address as Address)
        if (kind === "echo") {
          yield* connection.write(pattern(10))
          assert.strictEqual((yield* connection.pull)[0].length, 10)
        }
        yield* Effect.forkScoped(Effect.map(readAll(connection), (bytes) => received.push(bytes)))
      }
      yield* turn
      yield* Scope.close(scope, Exit.void)
      yield* Effect.repeat(Effect.sleep(0), { until: () => received.length >= 2 })
      assert.deepStrictEqual(
        received.map((bytes) => bytes.length).sort((a, b) => a - b),
        [0, 10]
      )
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("lets what a callback throws be an uncaught exception", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const stream = yield* toPullStream(near)
      const thrown = yield* uncaught
      stream.source(null, () => {
        throw new Error("a bug of the user")
      })
      yield* far.write(pattern(10))
      assert.match(String(yield* thrown), /a bug of the user/)
      yield* far.write(pattern(20))
      assert.strictEqual((yield* next(stream))?.length, 20)
    }).pipe(Effect.provide(multiserver()))
  )
})
