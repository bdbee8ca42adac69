/** Backpressure, by the memory of a process: 300 MiB are offered, and nobody reads. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { bound, growth, offered, ours } from "../support/hold.ts"
import { connect, serve } from "./plain.ts"

type Socket = Effect.Success<ReturnType<typeof connect>>["ws"]

/** Offers everything, as fast as the kernel takes it. How much that was by the time that it takes no more. */
const flood = (ws: Socket): Effect.Effect<number> =>
  Effect.gen(function* () {
    const chunk = Buffer.alloc(64 * 1024)
    let taken = 0
    const next = () => {
      ws.send(chunk, (error) => {
        if (error !== null && error !== undefined) return
        taken += chunk.length
        if (taken < offered) next()
      })
    }
    next()
    for (let last = -1; last !== taken; ) {
      last = taken
      yield* Effect.sleep("300 millis")
    }
    return taken
  })

describe("memory stays", () => {
  it.live("of a writer that dialed a peer that never reads", () =>
    Effect.gen(function* () {
      const { address, clients } = yield* serve()
      const process = yield* ours("write", "dial", address)
      const { ws } = yield* Queue.take(clients)
      ws.pause()
      const { grown, written } = yield* growth(process, Effect.sleep("1 second"))
      assert.isBelow(written, offered)
      assert.isBelow(grown, bound)
    })
  )

  it.live("of a writer that was dialed by a peer that never reads", () =>
    Effect.gen(function* () {
      const process = yield* ours("write", "listen", "ws://127.0.0.1:0")
      const { address = "" } = yield* process.next
      const before = yield* process.measure
      const { ws } = yield* connect(address)
      ws.pause()
      yield* Effect.sleep("1 second")
      const after = yield* process.measure
      assert.isBelow(after.written ?? 0, offered)
      assert.isBelow((after.rss ?? 0) - (before.rss ?? 0), bound)
    })
  )

  it.live("of a reader that was dialed and never pulls", () =>
    Effect.gen(function* () {
      const process = yield* ours("hold", "listen", "ws://127.0.0.1:0")
      const { address = "" } = yield* process.next
      const { ws } = yield* connect(address)
      let taken = 0
      const { grown } = yield* growth(
        process,
        Effect.map(flood(ws), (bytes) => {
          taken = bytes
        })
      )
      assert.isBelow(taken, offered)
      assert.isBelow(grown, bound)
    })
  )

  it.live("of a reader that dialed and never pulls", () =>
    Effect.gen(function* () {
      const { address, clients } = yield* serve()
      const process = yield* ours("hold", "dial", address)
      const { ws } = yield* Queue.take(clients)
      let taken = 0
      const { grown } = yield* growth(
        process,
        Effect.map(flood(ws), (bytes) => {
          taken = bytes
        })
      )
      assert.isBelow(taken, offered)
      assert.isBelow(grown, bound)
    })
  )
})
