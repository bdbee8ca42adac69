/** Limits from the environment, and what is said of those who are turned away. */
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as TestClock from "effect/testing/TestClock"
import type { Event } from "../../src/cli/events.ts"
import { quieted } from "../../src/cli/repeats.ts"
import { inside } from "./inside.ts"
import { start } from "./support.ts"

const strict = { MULTISERVER_SOURCE_CONNECTIONS: "1", MULTISERVER_EXEMPT_LOOPBACK: "false" }

/** Connects, says nothing, and waits until it is hung up on. */
const refused = (port: number) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("error", () => {}).resume()
    socket.on("close", () => resume(Effect.void))
  })

const portOf = (address: string) => Number(/:(\d+)$/.exec(address)?.[1])

describe("listen", () => {
  it.live("has the limits of the environment, and counts in JSON those that are refused", () =>
    Effect.gen(function* () {
      const listener = yield* start(["listen", "--echo", "--json", "net:127.0.0.1:0"], { env: strict })
      const port = portOf(yield* listener.address)
      const first = net.connect(port, "127.0.0.1").on("error", () => {})
      yield* listener.event("connected")
      for (let i = 0; i < 10; i++) yield* refused(port)
      first.destroy()
      yield* listener.kill("SIGTERM")
      const { code, stderr } = yield* listener.exit
      assert.strictEqual(code, 0)
      const events: ReadonlyArray<{ event: string; reason?: string; count?: number; source?: string }> = stderr
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line))
      const turnedAway = events.filter(({ event }) => event === "refused")
      // The first at once, the rest at the end of their time or of the command.
      assert.deepStrictEqual(
        turnedAway.map(({ count, reason, source }) => [count, reason, source]),
        [
          [1, "TooManyFromSource", "127.0.0.1"],
          [9, "TooManyFromSource", "127.0.0.1"]
        ]
      )
    })
  )

  it.live("says so when a limit is none", () =>
    Effect.gen(function* () {
      const { code, stderr } = yield* inside(["listen", "--echo", "net:127.0.0.1:0"], {
        env: { MULTISERVER_SOURCE_RATE: "many" }
      })
      assert.strictEqual(code, 2)
      assert.include(stderr, "MULTISERVER_SOURCE_RATE: it takes a whole number above 0")
    })
  )
})

describe("repetitions", () => {
  const refusal = (source: string | null, count = 1): Event => ({
    event: "refused",
    source,
    stack: "net",
    reason: "TooFast",
    count
  })
  const make = Effect.gen(function* () {
    const said: Array<Event> = []
    const say = yield* quieted(
      (event) => Effect.sync(() => void said.push(event)),
      (event) => event.event === "refused" || event.event === "handshake-failed"
    )
    return { said, say }
  })

  it.effect("are said once for each source and reason in ten seconds, and then how many there were", () =>
    Effect.gen(function* () {
      const { said, say } = yield* make
      for (let i = 0; i < 100; i++) yield* say(refusal("203.0.113.1"))
      yield* say(refusal("203.0.113.2", 5))
      assert.deepStrictEqual(said, [refusal("203.0.113.1"), refusal("203.0.113.2")])
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(said.slice(2), [refusal("203.0.113.1", 99), refusal("203.0.113.2", 4)])
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(said.length, 4)
      yield* say(refusal("203.0.113.1"))
      assert.deepStrictEqual(said[4], refusal("203.0.113.1"))
    })
  )

  it.effect("are as few of ten thousand sources, and lose none", () =>
    Effect.gen(function* () {
      const { said, say } = yield* make
      for (let i = 0; i < 10_000; i++) yield* say(refusal(`10.0.${i >> 8}.${i & 255}`))
      assert.isAtMost(said.length, 1025)
      yield* TestClock.adjust("10 seconds")
      const counted = said.reduce((sum, event) => sum + ("count" in event ? event.count : 0), 0)
      assert.strictEqual(counted, 10_000)
    })
  )

  it.effect("of anything else are said as they are", () =>
    Effect.gen(function* () {
      const { said, say } = yield* make
      const event: Event = { event: "warning", message: "again" }
      for (let i = 0; i < 3; i++) yield* say(event)
      assert.strictEqual(said.length, 3)
    })
  )
})
