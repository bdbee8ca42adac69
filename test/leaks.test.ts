/** What is left after many dials and servers: no fd, no fiber, no timer. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type * as Address from "../src/Address.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { echo, multiserver, pattern, readAll, served } from "./support/servers.ts"

/** Fibers by Effect's own account: its runtime reports each start and each end of one to this service. */
const fiberCount = () => {
  let live = 0
  const service: Metric.FiberRuntimeMetricsService = {
    recordFiberStart: () => void live++,
    recordFiberEnd: () => void live--
  }
  return { live: () => live, layer: Layer.succeed(Metric.FiberRuntimeMetrics, service) }
}

/** File descriptors by the kernel's account, where it gives one, and sockets, servers and timers by Node's. */
const resources = () => {
  const active = process.getActiveResourcesInfo()
  const count = (name: string) => active.filter((each) => each === name).length
  return {
    fds: fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0,
    sockets: count("TCPSocketWrap"),
    servers: count("TCPServerWrap"),
    timers: count("Timeout")
  }
}

/**
 * What there is once nothing changes any more: closed handles are gone on a later turn of the event loop. Where it is
 * known what that has to be, it is waited for, for a minute.
 */
const settled = (live: () => number, expected?: ReturnType<typeof measure>) =>
  Effect.gen(function* () {
    let last = ""
    for (let same = 0, tries = 0; same < 3; tries++) {
      yield* Effect.sleep("100 millis")
      const now = JSON.stringify(measure(live))
      const waits = expected !== undefined && now !== JSON.stringify(expected) && tries < 600
      same = now === last && !waits ? same + 1 : 0
      last = now
    }
    return measure(live)
  })

const measure = (live: () => number) => ({ ...resources(), fibers: live() })

describe("nothing is left", () => {
  it.live.each(["shs", "noise", "noisepq"])(
    "of a thousand dials with %s interrupted at random moments",
    (transform) =>
      Effect.gen(function* () {
        const fibers = fiberCount()
        const run = Effect.gen(function* () {
          const [address] = yield* served(`net:127.0.0.1:0~${transform}`, echo)
          const port = address?.transport._tag === "net" ? address.transport.port : 0
          const target = String(address).replace("127.0.0.1", "localhost").replace(/:\d+~/, `:${port}~`)
          const one = Effect.scoped(
            Effect.gen(function* () {
              const connection = yield* Multiserver.dial(target)
              yield* connection.write(pattern(1000))
              yield* connection.end
              return yield* readAll(connection)
            })
          )
          yield* one
          const before = yield* settled(fibers.live)
          let interrupted = 0
          const random = pattern(1000, 42)
          for (let i = 0; i < 1000; i += 10) {
            const dials = yield* Effect.forEach(random.subarray(i, i + 10), (byte) =>
              Effect.gen(function* () {
                const fiber = yield* Effect.forkChild(one)
                // A whole exchange takes some milliseconds with ten at once: from the name lookup to the goodbye.
                yield* Effect.sleep(byte / 12)
                if (fiber.pollUnsafe() === undefined) interrupted++
                yield* Fiber.interrupt(fiber)
              }).pipe(Effect.forkChild)
            )
            yield* Effect.forEach(dials, Fiber.join)
          }
          assert.deepStrictEqual(yield* settled(fibers.live, before), before)
          assert.isAbove(interrupted, 200)
          yield* one
        })
        yield* run.pipe(Effect.provide(multiserver()), Effect.provide(fibers.layer))
      }),
    300_000
  )

  it.live("of two hundred servers started and stopped, with and without connections", () =>
    Effect.gen(function* () {
      const fibers = fiberCount()
      const run = Effect.gen(function* () {
        const cycle = (i: number) =>
          Effect.scoped(
            Effect.gen(function* () {
              const [address] = yield* served(
                ["net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise", "memory:m~shs", "net:127.0.0.1:0"],
                echo
              )
              if (i % 4 !== 0) return
              const connection = yield* Multiserver.dial(address as Address.Address)
              yield* connection.write(pattern(1000))
              yield* connection.pull
            })
          )
        yield* cycle(0)
        const before = yield* settled(fibers.live)
        for (let i = 0; i < 200; i++) yield* cycle(i)
        assert.deepStrictEqual(yield* settled(fibers.live, before), before)
      })
      yield* run.pipe(Effect.provide(multiserver()), Effect.provide(fibers.layer))
    })
  )
})
