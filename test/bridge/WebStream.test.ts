import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import * as Address from "../../src/Address.ts"
import { fromWebStreams, toWebStreams } from "../../src/bridge/WebStream.ts"
import * as Connection from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { multiserver, pair, pattern, readAll, sameBytes, served, until } from "../support/servers.ts"
import { contract, cuts, outlivesItsHandler, reasonOf } from "./contract.ts"

const tryPromise = <A>(run: () => PromiseLike<A>) => Effect.tryPromise({ try: run, catch: (error) => error })

const open = (connection: Connection.Connection) =>
  Effect.map(toWebStreams(connection), ({ readable, writable }) => {
    const reader = readable.getReader()
    const writer = writable.getWriter()
    return {
      write: (chunk: Uint8Array) => tryPromise(() => writer.write(chunk)),
      end: tryPromise(() => writer.close()),
      read: Effect.map(
        tryPromise(() => reader.read()),
        ({ value }) => value
      ),
      abort: tryPromise(() => writer.abort(new Error("given up")))
    }
  })

contract("web streams", open)
outlivesItsHandler("web streams", open)

describe("web streams", () => {
  it.live("are ones for pipeTo, on both sides", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.flatMap(toWebStreams(connection), ({ readable, writable }) =>
          tryPromise(() => readable.pipeTo(writable))
        )
      )
      const connection = yield* Multiserver.dial(address as Address.Address)
      const { readable, writable } = yield* toWebStreams(connection)
      const sent = Stream.toReadableStream(Stream.fromIterable(cuts(bytes))).pipeTo(writable)
      const received = yield* tryPromise(() => new Response(readable).arrayBuffer())
      yield* tryPromise(() => sent)
      assert.isTrue(sameBytes(new Uint8Array(received), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("say no goodbye when the readable is cancelled", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const { readable } = yield* toWebStreams(near)
      yield* tryPromise(() => readable.cancel())
      assert.include(["Truncated", "Reset"], reasonOf(yield* Effect.flip(readAll(far))))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("are aborted at once, whatever a stalled peer holds up", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const { writable } = yield* toWebStreams(near)
      const writer = writable.getWriter()
      const write = writer.write(pattern(4 << 20))
      yield* Effect.sleep("20 millis")
      const aborted = yield* Effect.timeoutOption(
        tryPromise(() => writer.abort(new Error("given up"))),
        "1 minute"
      )
      assert.isTrue(Option.isSome(aborted))
      assert.strictEqual(reasonOf(yield* Effect.flip(tryPromise(() => write))), "LocallyClosed(closed)")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("carry nothing but bytes", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const { writable } = yield* toWebStreams(near)
      const text: WritableStream<unknown> = writable
      const error = yield* Effect.flip(tryPromise(() => text.getWriter().write("text")))
      assert.instanceOf(error, TypeError)
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("report the closed scope to who holds them", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      const { readable, writable } = yield* Effect.scoped(toWebStreams(near))
      for (const closed of [readable.getReader().closed, writable.getWriter().closed]) {
        assert.strictEqual(reasonOf(yield* Effect.flip(tryPromise(() => closed))), "LocallyClosed(closed)")
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("that a link was made of are let go with it: cancelled, and free for others", () =>
    Effect.gen(function* () {
      let cancelled = false
      const readable = new ReadableStream<Uint8Array>({
        cancel: () => {
          cancelled = true
        }
      })
      const writable = new WritableStream<Uint8Array>()
      const transport = new Address.Opaque({ name: "w", data: "" })
      const remote = new Address.Address({ transport, transforms: [] })
      yield* Effect.scoped(
        Effect.flatMap(fromWebStreams({ readable, writable }, { remote }), (link) => Connection.onTop(link).end)
      )
      yield* until(() => cancelled)
      assert.isFalse(readable.locked || writable.locked)
    })
  )

  it.live("fail what the end of their scope cuts off", () =>
    Effect.gen(function* () {
      const [near] = yield* pair("memory:m~shs")
      // An end that the kernel doesn't take.
      const stalled: Connection.Connection = { ...near, end: Effect.never }
      const closing = yield* Effect.scoped(
        Effect.map(toWebStreams(stalled), ({ writable }) => {
          const closing = writable.getWriter().close()
          return tryPromise(() => closing)
        })
      )
      assert.strictEqual(reasonOf(yield* Effect.flip(closing)), "LocallyClosed(closed)")
    }).pipe(Effect.provide(multiserver()))
  )
})
