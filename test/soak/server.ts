/**
 * A net~shs echo server in a process of its own, which tells what it holds. It says its address first; then each line
 * on its stdin is answered with one of numbers, measured after a collection of garbage.
 */
import * as fs from "node:fs"
import { createInterface } from "node:readline"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as Redacted from "effect/Redacted"
import * as AppKey from "../../src/AppKey.ts"
import type { Connection } from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Shs from "../../src/shs/Shs.ts"
import { appKeyBytes, type Measured } from "./measures.ts"

const say = (value: object): void => void process.stdout.write(`${JSON.stringify(value)}\n`)

let fibers = 0
const counted: Metric.FiberRuntimeMetricsService = {
  recordFiberStart: () => void fibers++,
  recordFiberEnd: () => void fibers--
}

/** How connections ended. */
const ends: Record<string, number> = {}
const emit: Events.Sink = (event) =>
  Effect.sync(() => {
    if (!("tag" in event)) return
    const end = `${event._tag}:${event.tag}`
    ends[end] = (ends[end] ?? 0) + 1
  })

const measure = (): Measured => {
  globalThis.gc?.()
  const { external, heapUsed, rss } = process.memoryUsage()
  return { fds: fs.readdirSync("/proc/self/fd").length, fibers, heap: heapUsed + external, rss, ends }
}

const echo = (connection: Connection) =>
  connection.pull.pipe(
    Effect.flatMap(connection.writeAll),
    Effect.forever({ disableYield: true }),
    Effect.catchIf(Cause.isDone, () => connection.end)
  )

const Live = Multiserver.layer(["net~shs"]).pipe(
  Layer.provide([Net.layer(), Shs.layer()]),
  Layer.provide(AppKey.layer(Redacted.make(appKeyBytes))),
  Layer.provide([Identity.layerEphemeral, Events.layer(emit)]),
  Layer.provide(Sodium.layer)
)

const serving = Effect.gen(function* () {
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
  const [address] = listener.addresses()
  say({ address: String(address), port: address?.transport._tag === "net" ? address.transport.port : 0 })
  createInterface({ input: process.stdin }).on("line", () => say(measure()))
  return yield* listener.run(echo)
})

Effect.runFork(
  serving.pipe(Effect.scoped, Effect.provide(Live), Effect.provideService(Metric.FiberRuntimeMetrics, counted))
)
