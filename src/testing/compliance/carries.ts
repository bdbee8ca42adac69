/** What is written arrives whole and in order, however it is written and read, and no faster than it is read. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { Address } from "../../Address.ts"
import { type Connection, forEachChunk, forward } from "../../Connection.ts"
import type { ConnectionError } from "../../ConnectionError.ts"
import * as Multiserver from "../../Multiserver.ts"
import { type Broken, type Claim, type Clause, clause, expect, expectBytes, soon } from "./clause.ts"
import { dial, expectRead, join, pair, pattern, readAll, serve } from "./session.ts"

/**
 * More than all buffers hold: of both sides, of their kernels, and of proxies between them. A stack that accepts this
 * much for a peer that never reads has no backpressure.
 */
const mostBuffered = 64 << 20

export const carries = ({ target }: Claim): ReadonlyArray<Clause> => {
  const oneWay = (write: (near: Connection) => Effect.Effect<void, ConnectionError>, expected: Uint8Array) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(write(near), near.end))
      yield* expectRead(far, expected)
    })
  const otherWay = (expected: Uint8Array) =>
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(far.write(expected), far.end))
      yield* expectRead(near, expected)
    })

  const sizes = [0, 1, 4095, 4096, 4097, 65_535, 65_536, 3 << 20]
  const writes = sizes.flatMap((size) => [
    clause(
      `carries one write of ${size} bytes to the listener`,
      oneWay((near) => near.write(pattern(size)), pattern(size))
    ),
    clause(`carries one write of ${size} bytes to the dialer`, otherWay(pattern(size)))
  ])

  const manyWrites = clause(
    "carries ten thousand one-byte writes of one tick as one stream",
    oneWay(
      (near) => Effect.forEach(pattern(10_000), (byte) => near.write(Uint8Array.of(byte)), { discard: true }),
      pattern(10_000)
    )
  )

  const batch = clause(
    "carries a batch as one stream",
    oneWay(
      (near) => near.writeAll([pattern(10, 1), pattern(0, 2), pattern(70_000, 3), pattern(1, 4)]),
      join([pattern(10, 1), pattern(70_000, 3), pattern(1, 4)])
    )
  )

  const fibers = clause(
    "keeps the writes of several fibers whole",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const block = 300_000
      const writes = Effect.forEach([0, 1, 2, 3], (i) => near.write(new Uint8Array(block).fill(i)), {
        concurrency: "unbounded"
      })
      yield* Effect.forkChild(Effect.andThen(writes, near.end))
      const received = yield* readAll(far)
      yield* expect(received.length === 4 * block, `${4 * block} bytes`, received.length)
      for (let i = 0; i < 4; i++) {
        const part = received.subarray(i * block, (i + 1) * block)
        yield* expect(
          part.every((byte) => byte === part[0]),
          "each write in one piece",
          "writes that are mixed"
        )
      }
    })
  )

  const borrows = clause(
    "borrows bytes until the write succeeds, and not longer",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      const sent = pattern(2 << 20)
      yield* Effect.forkChild(
        Effect.gen(function* () {
          const buffer = new Uint8Array(10_000)
          for (let at = 0; at < sent.length; at += buffer.length) {
            const part = sent.subarray(at, at + buffer.length)
            buffer.set(part)
            yield* near.write(buffer.subarray(0, part.length))
            buffer.fill(0)
          }
          yield* near.end
        })
      )
      yield* Effect.sleep("50 millis")
      yield* expectRead(far, sent)
    })
  )

  const lends = clause(
    "lends each chunk while its borrower is called, and reads no more while that one waits",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(1 << 20)), near.end))
      const chunks: Array<Uint8Array> = []
      let waiting = false
      const borrowed = forEachChunk(far, (chunk) => {
        chunks.push(waiting ? new Uint8Array(0) : new Uint8Array(chunk))
        chunk.fill(0)
        if (chunks.length % 5 !== 0) return undefined
        waiting = true
        return Effect.andThen(
          Effect.sleep(1),
          Effect.sync(() => {
            waiting = false
          })
        )
      })
      yield* soon("all chunks to be lent, and the clean end", borrowed, () => `${chunks.length} chunks`)
      yield* expectBytes(join(chunks), pattern(1 << 20))
    })
  )

  const forwards = clause(
    "is forwarded to another connection, whose reader is slow",
    Effect.gen(function* () {
      const own = yield* Deferred.make<Address>()
      const arrived = yield* Deferred.make<Uint8Array, ConnectionError | Broken>()
      const context = yield* Effect.context<Multiserver.Multiserver>()
      let isFirst = true
      const address = yield* serve(target, (connection) => {
        if (!isFirst) return Deferred.complete(arrived, Effect.delay(readAll(connection), "50 millis"))
        isFirst = false
        return Deferred.await(own).pipe(
          Effect.flatMap((again) => Multiserver.dial(again)),
          Effect.flatMap((next) => Effect.andThen(forward(connection, next), next.end)),
          Effect.provideContext(context)
        )
      })
      yield* Deferred.succeed(own, address)
      const near = yield* dial(address)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(3 << 20)), near.end))
      const read = yield* soon("what was forwarded to be read", Deferred.await(arrived))
      yield* expectBytes(read, pattern(3 << 20))
    })
  )

  const neverReads = clause(
    "makes the writer of a peer that never reads wait",
    Effect.gen(function* () {
      const [near] = yield* pair(target)
      // Bytes that no transform can make much smaller.
      const chunk = pattern(64 * 1024)
      let accepted = 0
      const write = Effect.map(near.write(chunk), () => {
        accepted += chunk.length
      })
      const writer = yield* Effect.forkChild(Effect.repeat(write, { while: () => accepted <= mostBuffered }))
      const standsStill = Effect.gen(function* () {
        for (let before = -1; accepted === 0 || (before !== accepted && accepted <= mostBuffered); ) {
          before = accepted
          yield* Effect.sleep("300 millis")
        }
      })
      yield* soon("a writer that waits", standsStill, () => `${accepted} bytes that were accepted`)
      yield* expect(accepted <= mostBuffered, `at most ${mostBuffered} bytes to be accepted`, `${accepted} and no end`)
      yield* expect(writer.pollUnsafe() === undefined, "a writer that waits", "one that is done")
      yield* Fiber.interrupt(writer)
    })
  )

  return [...writes, manyWrites, batch, fibers, borrows, lends, forwards, neverReads]
}
