import { finished, pipeline } from "node:stream/promises"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Address from "../../src/Address.ts"
import { toDuplex } from "../../src/bridge/Duplex.ts"
import * as Connection from "../../src/Connection.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { multiserver, pair, pattern, readAll, sameBytes, served, turn } from "../support/servers.ts"
import { contract, cuts, outlivesItsHandler, reasonOf, uncaught } from "./contract.ts"

const tryPromise = <A>(run: () => PromiseLike<A>) => Effect.tryPromise({ try: run, catch: (error) => error })

const open = (connection: Connection.Connection) =>
  Effect.map(toDuplex(connection), (duplex) => {
    // An error has to have a listener in Node; the iterator tells of it too.
    duplex.on("error", () => {})
    const iterator = duplex.iterator({ destroyOnReturn: false })
    const callback = (start: (done: (error?: Error | null) => void) => void) =>
      Effect.callback<void, Error>((resume) =>
        start((error) => resume(error === undefined || error === null ? Effect.void : Effect.fail(error)))
      )
    return {
      write: (chunk: Uint8Array) => callback((done) => duplex.write(chunk, done)),
      end: callback((done) => duplex.end(done)),
      read: Effect.map(
        tryPromise(() => iterator.next()),
        ({ value }) => value
      ),
      abort: Effect.sync(() => duplex.destroy())
    }
  })

contract("a Duplex", open)
outlivesItsHandler("a Duplex", open)

describe("a Duplex", () => {
  it.live("is one for pipeline, on both sides", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [address] = yield* served("net:127.0.0.1:0~shs", (connection) =>
        Effect.flatMap(toDuplex(connection), (duplex) => tryPromise(() => pipeline(duplex, duplex)))
      )
      const duplex = yield* Effect.flatMap(Multiserver.dial(address as Address.Address), toDuplex)
      const received: Array<Uint8Array> = []
      const collect = async (source: AsyncIterable<Uint8Array>) => {
        for await (const chunk of source) received.push(chunk)
      }
      yield* tryPromise(() => pipeline(cuts(bytes), duplex, collect))
      assert.isTrue(sameBytes(Buffer.concat(received), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("keeps the order when its reader asks for more from within a chunk", () =>
    Effect.gen(function* () {
      const bytes = pattern(1 << 20)
      const [near, far] = yield* pair("memory:m~shs")
      const duplex = yield* toDuplex(near)
      yield* Effect.forkChild(Effect.andThen(Effect.forEach(cuts(bytes), far.write), far.end))
      const received: Array<Uint8Array> = []
      duplex.on("data", (chunk) => {
        received.push(chunk)
        duplex.read(0)
      })
      yield* tryPromise(() => finished(duplex, { writable: false }))
      assert.isTrue(sameBytes(Buffer.concat(received), bytes))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("closes without an error when both sides have ended, and the connection ended well", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const duplex = yield* toDuplex(near)
      duplex.end("all that was said")
      assert.strictEqual(String(Buffer.from(yield* readAll(far))), "all that was said")
      yield* far.end
      duplex.resume()
      yield* tryPromise(() => finished(duplex))
      assert.isTrue(duplex.destroyed)
      assert.isTrue(Cause.isDone(yield* Effect.flip(near.pull)))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is destroyed with the ConnectionError when a write finds the connection broken", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const duplex = yield* toDuplex(near)
      yield* Connection.destroy(far)
      yield* turn
      duplex.write("to nobody")
      const error = yield* Effect.flip(tryPromise(() => finished(duplex)))
      assert.strictEqual(reasonOf(error), "Reset")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("takes what the connection has accepted as written when its scope closes at once", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      yield* Effect.scoped(
        Effect.map(toDuplex(near), (duplex) => {
          duplex.write("first")
          duplex.write("second")
        })
      )
      yield* near.end
      assert.strictEqual(String(Buffer.from(yield* readAll(far))), "firstsecond")
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("keeps what a callback throws out of the connection", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~shs")
      const duplex = yield* toDuplex(near)
      const thrown = yield* uncaught
      duplex.write(pattern(1 << 20), () => {
        throw new Error("a bug of the user")
      })
      let received = 0
      while (received < 1 << 20) for (const chunk of yield* far.pull) received += chunk.length
      assert.match(String(yield* thrown), /a bug of the user/)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(200_000)), near.end))
      assert.isTrue(sameBytes(yield* readAll(far), pattern(200_000)))
    }).pipe(Effect.provide(multiserver()))
  )
})
