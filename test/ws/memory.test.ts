/** Backpressure, by the memory of a process: 300 MiB are offered, and nobody reads. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Schema from "effect/Schema"
import { connect, serve } from "./plain.ts"

const offered = 300 << 20
const bound = 32 << 20

const Said = Schema.Struct({
  address: Schema.optionalKey(Schema.String),
  rss: Schema.optionalKey(Schema.Int),
  written: Schema.optionalKey(Schema.Int)
})
const decode = Schema.decodeUnknownSync(Schema.fromJsonString(Said))

/** Ours, in a process of its own. */
const ours = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const script = fileURLToPath(new URL("./peers/hold.mjs", import.meta.url))
    const child = yield* Effect.acquireRelease(
      Effect.sync(() =>
        spawn(process.execPath, ["--expose-gc", script, ...args], { stdio: ["pipe", "pipe", "inherit"] })
      ),
      (child) => Effect.sync(() => child.kill("SIGKILL"))
    )
    const said = yield* Queue.unbounded<typeof Said.Type>()
    createInterface({ input: child.stdout }).on("line", (line) => Queue.offerUnsafe(said, decode(line)))
    const next = Queue.take(said)
    return {
      next,
      measure: Effect.andThen(
        Effect.sync(() => child.stdin.write("\n")),
        next
      )
    }
  })

/** What the memory of the process has grown by while `offer` goes on. */
const growth = (process: Effect.Success<ReturnType<typeof ours>>, offer: Effect.Effect<unknown>) =>
  Effect.gen(function* () {
    const before = yield* process.measure
    yield* offer
    const after = yield* process.measure
    return { grown: (after.rss ?? 0) - (before.rss ?? 0), written: after.written ?? 0 }
  })

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
      const process = yield* ours("write", address)
      const { ws } = yield* Queue.take(clients)
      ws.pause()
      const { grown, written } = yield* growth(process, Effect.sleep("1 second"))
      assert.isBelow(written, offered)
      assert.isBelow(grown, bound)
    })
  )

  it.live("of a writer that was dialed by a peer that never reads", () =>
    Effect.gen(function* () {
      const process = yield* ours("write")
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
      const process = yield* ours("hold")
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
      const process = yield* ours("hold", address)
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
