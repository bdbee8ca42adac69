/** Bytes between npm multiserver 3.8.2 and us: each dials the other, over net~shs and over bare net. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as References from "effect/References"
import { format } from "../../src/Address.ts"
import type { Connection } from "../../src/Connection.ts"
import { echo, pattern, readAll, sameBytes } from "../support/servers.ts"
import { exchange, exchangeInTurn, identity, ours, refusal, replyWhole, sharedTheirs, sizes, total } from "./setup.ts"

const theirs = sharedTheirs()

const largest = Math.max(...sizes)

describe.each(["net~shs", "net"] as const)("%s", (stack) => {
  const secret = stack === "net~shs"

  it.live("dials it, ends at once, and gets back every byte and a clean end", () =>
    Effect.gen(function* () {
      const { next, serve } = yield* theirs
      const us = yield* ours()
      const check = (address: string, size: number, talk: typeof exchange) =>
        Effect.gen(function* () {
          const body = pattern(size, size + 1)
          const connection = yield* us.dial(address)
          assert.strictEqual(format(connection.remote), address)
          assert.isTrue(sameBytes(yield* talk(connection, body), body), `the echo of ${size} bytes`)
          const { error, received, remote } = yield* next("exchanged")
          assert.deepStrictEqual({ error, received }, { error: null, received: total(body) })
          assert.strictEqual(remote, secret ? us.publicKey : null)
        }).pipe(
          Effect.scoped,
          Effect.andThen(Effect.andThen(us.next("Connected"), us.next("Closed"))),
          Effect.map(({ bytesRead, bytesWritten, tag }) =>
            assert.deepStrictEqual([tag, bytesRead, bytesWritten], ["end", size, size])
          )
        )
      const whole = yield* serve({ stack, reply: "whole" })
      for (const size of sizes) yield* check(whole, size, exchangeInTurn(next("answering")))
      yield* check(yield* serve({ stack }), largest, exchange)
    })
  )

  it.live("is dialed by it, hears its end at once, and loses no byte of what it still owes", () =>
    Effect.gen(function* () {
      const { dial, next } = yield* theirs
      const us = yield* ours()
      const check = (address: string, bytes: number) =>
        Effect.gen(function* () {
          yield* dial(address, { body: { bytes, seed: bytes + 1 } })
          const { error, received, remote, sent } = yield* next("exchanged")
          assert.strictEqual(sent.bytes, bytes)
          assert.deepStrictEqual({ error, received }, { error: null, received: sent })
          assert.strictEqual(remote, secret ? us.publicKey : null)
          yield* us.next("Connected")
          const { bytesRead, bytesWritten, tag } = yield* us.next("Closed")
          assert.deepStrictEqual([tag, bytesRead, bytesWritten], ["end", bytes, bytes])
        })
      const whole = yield* us.serve(stack, replyWhole)
      for (const size of sizes) yield* check(whole, size)
      yield* check(yield* us.serve(stack, echo), largest)
    })
  )
})

describe("net~shs", () => {
  /** 10,000 writes of one byte each, made in the given way. */
  const burst = (writes: (connection: Connection, bytes: ReadonlyArray<Uint8Array>) => Effect.Effect<void, unknown>) =>
    Effect.gen(function* () {
      const { next, serve } = yield* theirs
      const us = yield* ours()
      const body = pattern(10_000)
      const connection = yield* us.dial(yield* serve())
      yield* writes(
        connection,
        Array.from(body, (byte) => Uint8Array.of(byte))
      )
      yield* connection.end
      assert.isTrue(sameBytes(yield* readAll(connection), body))
      const { error, received } = yield* next("exchanged")
      assert.deepStrictEqual({ error, received }, { error: null, received: total(body) })
    })

  it.live("makes one stream of 10,000 writes of a byte in one tick", () =>
    burst((connection, bytes) =>
      Effect.gen(function* () {
        let ticks = 0
        queueMicrotask(() => ticks++)
        for (const byte of bytes) yield* connection.write(byte)
        assert.strictEqual(ticks, 0, "the tick in which the writes began is over")
      }).pipe(Effect.provideService(References.PreventSchedulerYield, true))
    )
  )

  it.live("makes one stream of 10,000 fibers that write a byte each, in the order in which they began", () =>
    burst((connection, bytes) =>
      Effect.forEach(bytes, (byte) => connection.write(byte), { concurrency: "unbounded", discard: true })
    )
  )

  it.live("shows the key of an address's seed to a server that lets in only that one", () =>
    Effect.gen(function* () {
      const { next, serve } = yield* theirs
      const us = yield* ours()
      const invited = identity(7)
      const address = yield* serve({ allow: [invited.publicKey] })
      const connection = yield* us.dial(`${address}:${invited.seed}`)
      assert.strictEqual(format(connection.remote), address)
      yield* exchange(connection, pattern(10))
      assert.strictEqual((yield* next("exchanged")).remote, invited.publicKey)

      assert.strictEqual(yield* refusal(us.dial(address)), "Rejected(auth)")
    })
  )
})
