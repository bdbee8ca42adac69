/** `Workers.launch` in a program of its own, over `node:cluster`. */
import { spawn } from "node:child_process"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Result from "effect/Result"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as NodeIdentity from "../../src/NodeIdentity.ts"
import * as NodeMultiserver from "../../src/NodeMultiserver.ts"
import { part } from "../../src/workers/limits.ts"
import { readsTypes } from "../support/nodes.ts"

const program = fileURLToPath(new URL("program.ts", import.meta.url))

/** A run of the program: its lines, and how it ends. */
const run = (options: object) =>
  Effect.gen(function* () {
    const lines = yield* Queue.unbounded<string>()
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => spawn(readsTypes, [program, JSON.stringify(options)], { stdio: ["ignore", "pipe", "pipe"] })),
      (child) => Effect.sync(() => void child.kill("SIGKILL"))
    )
    let stderr = ""
    child.stderr.on("data", (text) => {
      stderr += text
    })
    createInterface({ input: child.stdout }).on("line", (line) => void Queue.offerUnsafe(lines, line))
    const closed = new Promise<string>((resolve) => child.once("close", () => resolve(stderr)))
    const next = (what: RegExp) => Effect.repeat(Queue.take(lines), { until: (line) => what.test(line) })
    return { child, next, closed: Effect.promise(() => closed) }
  })

const live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))

/** The number of the process that serves a connection. */
const pidOf = (address: string) =>
  Effect.scoped(Effect.flatMap(Multiserver.dial(address), ({ pull }) => Effect.map(pull, ([chunk]) => String(chunk))))

describe("Workers.launch", () => {
  it.live("gives all workers the port and the key of one, and drains them at SIGINT", () =>
    Effect.gen(function* () {
      const { child, closed, next } = yield* run({ address: "net:127.0.0.1:0~shs", sharing: "cluster" })
      const [, address = ""] = /"(net:[^"]+)"/.exec(yield* next(/Listening/)) ?? []
      const pids = new Set<string>()
      yield* Effect.repeat(
        Effect.map(pidOf(address), (pid) => void pids.add(pid)),
        { until: () => pids.size === 2 }
      ).pipe(Effect.provide(live))
      child.kill("SIGINT")
      yield* closed
      assert.strictEqual(child.exitCode, 130)
    }).pipe(Effect.scoped)
  )

  it.live("logs how a worker has ended where no sink of events hears of it", () =>
    Effect.gen(function* () {
      const { next } = yield* run({ address: "net:127.0.0.1:0~shs", hasSinks: false })
      const [, address = ""] = /"(net:[^"]+)"/.exec(yield* next(/Listening/)) ?? []
      process.kill(Number(yield* pidOf(address).pipe(Effect.provide(live))), "SIGKILL")
      assert.match(yield* next(/worker [12]: /), /worker [12]: its process was ended by SIGKILL/)
    }).pipe(Effect.scoped)
  )

  it.live("starts workers again, and stops, while onListening goes on", () =>
    Effect.gen(function* () {
      const { child, closed, next } = yield* run({ address: "net:127.0.0.1:0~shs", goesOn: true })
      const [, pid] = /"pid":(\d+)/.exec(yield* next(/"WorkerStarted","worker":2/)) ?? []
      yield* next(/Listening/)
      process.kill(Number(pid), "SIGKILL")
      yield* next(/"WorkerStarted","worker":2/)
      child.kill("SIGINT")
      yield* closed
      assert.strictEqual(child.exitCode, 130)
    }).pipe(Effect.scoped)
  )

  it.live("fails where each worker makes a key of its own", () =>
    Effect.gen(function* () {
      const { child, closed, next } = yield* run({ address: "net:127.0.0.1:0~shs", ownKeys: true })
      yield* next(/give all workers the same keys/)
      yield* closed
      assert.strictEqual(child.exitCode, 1)
    }).pipe(Effect.scoped)
  )
})

describe("the limits of workers", () => {
  it("are together those of one process", () => {
    const parts = [0, 1, 2].map((index) => Result.getOrThrow(part({ ...Limits.defaults, connections: 1000 }, index, 3)))
    const sum = (limit: "connections" | "sourceConnections" | "sourceRate" | "pendingHandshakes" | "dials") =>
      parts.reduce((all, each) => all + each[limit], 0)
    assert.deepStrictEqual(
      [sum("connections"), sum("sourceConnections"), sum("sourceRate"), sum("pendingHandshakes"), sum("dials")],
      [1000, 64, 250, 1024, 160]
    )
    assert.strictEqual(parts[0]?.grace, Limits.defaults.grace)
  })

  it("can't be fewer than workers", () => {
    const divided = part({ ...Limits.defaults, sourceRate: 2 }, 0, 3)
    assert.match(Result.isFailure(divided) ? divided.failure.message : "", /sourceRate is 2/)
  })
})
