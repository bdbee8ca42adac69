/**
 * Nothing is missed between two operations of a fiber, wherever Effect lets others run in between. It does so after so
 * many operations: a sweep over how many finds every such place. Who misses a wake-up waits for ever, which one bound
 * for all finds.
 */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as Relay from "../../src/bridge/Relay.ts"
import * as Connection from "../../src/Connection.ts"
import * as Deflate from "../../src/deflate/Deflate.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import * as Unix from "../../src/unix/Unix.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { ports } from "../support/ports.ts"
import { pattern, protocols, sameBytes } from "../support/servers.ts"
import { type Driver, plain, views } from "./views.ts"
import { work } from "./work.ts"

/** At 2, Effect itself makes no progress. */
const sweep = Array.from({ length: 38 }, (_, i) => i + 3)
/** After so many, by default: two fewer, and a few around it, as a write and a pull take some themselves. */
const many = Array.from({ length: 24 }, (_, i) => 2030 + i)
const rounds = 4

/**
 * Of these, in a run of all tests, every fourth for each that is tried, beginning with another one for the next:
 * together they try all. `npm run test:long -- yields` tries all with each.
 */
const share = process.env.YIELDS === "all" ? 1 : 4

const bound = "4 minutes"

const fixture = (name: string) => fileURLToPath(new URL(`../fixtures/tls/${name}`, import.meta.url))

const stacks = [
  "memory",
  "memory~shs",
  "memory~noise",
  "memory~noisepq",
  "memory~noauth",
  "memory~deflate",
  "memory~shs~deflate",
  "port",
  "port~shs",
  "port~noise",
  "net",
  "net~shs",
  "net~noise",
  "net~noauth",
  "net~deflate",
  "unix",
  "unix~shs",
  "unix~noise",
  "ws",
  "ws~shs",
  "ws~noise",
  "ws~noauth",
  "wss",
  "wss~shs"
] as const

const layer = Multiserver.layer(stacks).pipe(
  Layer.provide([
    protocols(),
    ports("port", "port-shs", "port-noise"),
    Unix.layer(),
    WebSocket.layer(),
    WebSocket.layerSecure({
      credentials: { key: fixture("server.key"), cert: fixture("server.crt") },
      ca: fixture("ca.crt")
    }),
    Noauth.layer(),
    Deflate.layer()
  ]),
  Layer.provide(Limits.layer({ grace: Duration.millis(50) }))
)

type Run = Effect.Effect<void, unknown, Multiserver.Multiserver | Scope.Scope>

/** Reads so many bytes at a time. What came with them is for the next time. */
const reader = (driver: Driver) => {
  let rest = Buffer.alloc(0)
  return (length: number): Effect.Effect<Uint8Array, unknown> =>
    Effect.gen(function* () {
      while (rest.length < length) {
        const chunk = yield* driver.read
        if (chunk === undefined) break
        rest = Buffer.concat([rest, chunk])
      }
      const out = new Uint8Array(rest.subarray(0, length))
      rest = rest.subarray(length)
      return out
    })
}

/** Writes and reads in turn, says that all was said, and hears the same. */
const converse = (driver: Driver, operations = 0): Effect.Effect<void, unknown> =>
  Effect.gen(function* () {
    const read = reader(driver)
    for (let round = 0; round < rounds; round++) {
      const chunk = pattern(100, round + 1)
      yield* driver.write(chunk)
      yield* work(operations)
      if (!sameBytes(yield* read(chunk.length), chunk)) return yield* Effect.fail(new Error("other bytes"))
    }
    yield* driver.end
    const rest = yield* read(1)
    if (rest.length > 0) return yield* Effect.fail(new Error("more bytes than were written"))
  })

/**
 * Listens on a target, and gives the address to dial; what its handler comes to is that of the effect that is given
 * with it.
 */
const serve = (
  target: string,
  handler: (connection: Connection.Connection) => Effect.Effect<void, unknown, Scope.Scope>
) =>
  Effect.gen(function* () {
    const done = yield* Deferred.make<void, unknown>()
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(
      listener.run((connection) => Effect.onExit(handler(connection), (exit) => Deferred.done(done, exit)))
    )
    return { address: String(listener.addresses()[0]), done: Deferred.await(done) }
  })

/** Both ends of one connection talk through views. */
const between = (target: string, view: keyof typeof views, operations?: number): Run =>
  Effect.gen(function* () {
    const talk = (connection: Connection.Connection) =>
      Effect.flatMap(views[view](connection), (driver) => converse(driver, operations))
    const { address, done } = yield* serve(target, talk)
    yield* Effect.flatMap(Multiserver.dial(address), talk)
    yield* done
  })

/** Somebody in the middle, who passes on what arrives at either side. */
const through = (
  target: string,
  join: (a: Connection.Connection, b: Connection.Connection) => Effect.Effect<unknown, unknown>
): Run =>
  Effect.gen(function* () {
    const context = yield* Effect.context<Multiserver.Multiserver>()
    const talk = (connection: Connection.Connection) => Effect.flatMap(plain(connection), (driver) => converse(driver))
    const behind = yield* serve(`${target}-behind~shs`, talk)
    const middle = yield* serve(`${target}~shs`, (a) =>
      Multiserver.dial(behind.address).pipe(
        Effect.flatMap((b) => join(a, b)),
        Effect.asVoid,
        Effect.provide(context)
      )
    )
    yield* Effect.flatMap(Multiserver.dial(middle.address), talk)
    yield* behind.done
    yield* middle.done
  })

const forwardBoth = (a: Connection.Connection, b: Connection.Connection) =>
  Effect.all([Effect.andThen(Connection.forward(a, b), b.end), Effect.andThen(Connection.forward(b, a), a.end)], {
    concurrency: "unbounded"
  })

/**
 * Runs each for one value after another, and tells which did not come to their end, and at which value. All at once, or
 * one by one: then nobody else runs where a fiber lets others run, and only the first that hangs is told of.
 */
const hanging = (
  runs: Readonly<Record<string, (value: number) => Run>>,
  values: ReadonlyArray<number>,
  concurrency: "unbounded" | 1 = "unbounded"
) =>
  Effect.gen(function* () {
    const troubles = new Map<string, string>()
    const each = ([name, run]: readonly [string, (value: number) => Run], index: number) =>
      Effect.gen(function* () {
        for (const value of values.filter((_, i) => (i + index) % share === 0)) {
          troubles.set(name, `${name}: hangs at ${value}`)
          const exit = yield* Effect.exit(Effect.scoped(run(value)))
          if (Exit.isFailure(exit)) {
            troubles.set(name, `${name}: fails at ${value}: ${Cause.pretty(exit.cause).split("\n")[0]}`)
            return
          }
        }
        troubles.delete(name)
      })
    yield* Effect.timeoutOption(Effect.forEach(Object.entries(runs), each, { concurrency }), bound)
    return [...troubles.values()]
  })

const yielding =
  (run: Run) =>
  (operations: number): Run =>
    Effect.provideService(run, Scheduler.MaxOpsBeforeYield, operations)

const files = fs.mkdtempSync(path.join(os.tmpdir(), "ms-yields-"))
afterAll(() => fs.rmSync(files, { recursive: true, force: true }))

const addresses: Readonly<Record<string, string>> = {
  memory: "memory:m",
  port: "port:",
  net: "net:127.0.0.1:0",
  unix: `unix:${files}/socket`,
  ws: "ws://127.0.0.1:0",
  wss: "wss://127.0.0.1:0"
}
/** Each run has an address of its own, as all run at once. */
let names = 0
const targetOf = (stack: string): string => {
  const [transport = "", ...transforms] = stack.split("~")
  const numbered = transport === "memory" || transport === "unix" ? names++ : ""
  // The layer has the names of ports: one for each stack, whose runs go one after another.
  const own = transport === "port" ? stack.replaceAll("~", "-") : numbered
  return [`${addresses[transport]}${own}`, ...transforms].join("~")
}

const record = <A>(names: ReadonlyArray<string>, make: (name: string) => A): Readonly<Record<string, A>> =>
  Object.fromEntries(names.map((name) => [name, make(name)]))

const ends = Object.keys(views) as ReadonlyArray<keyof typeof views>

describe("however soon a fiber has to let others run", () => {
  it.live(
    "no stack misses what arrives",
    () =>
      Effect.gen(function* () {
        const runs = record(stacks, (stack) => yielding(Effect.suspend(() => between(targetOf(stack), "plain"))))
        assert.deepStrictEqual(yield* hanging(runs, sweep), [])
      }).pipe(Effect.provide(layer)),
    300_000
  )

  it.live(
    "no stack misses what arrives while nobody else runs",
    () =>
      Effect.gen(function* () {
        const runs = record(["net", "memory", "port", "unix", "ws", "memory~shs", "net~deflate"], (stack) =>
          yielding(Effect.suspend(() => between(targetOf(stack), "plain")))
        )
        assert.deepStrictEqual(yield* hanging(runs, sweep, 1), [])
      }).pipe(Effect.provide(layer)),
    300_000
  )

  it.live(
    "no view misses what arrives",
    () =>
      Effect.gen(function* () {
        const over = (stack: string) =>
          Object.fromEntries(
            ends.map((view) => [
              `${view} over ${stack}`,
              yielding(Effect.suspend(() => between(targetOf(stack), view)))
            ])
          )
        const middles = {
          relay: yielding(Effect.suspend(() => through(targetOf("memory"), Relay.between))),
          forward: yielding(Effect.suspend(() => through(targetOf("memory"), forwardBoth)))
        }
        assert.deepStrictEqual(yield* hanging({ ...over("memory"), ...over("net~shs"), ...middles }, sweep), [])
      }).pipe(Effect.provide(layer)),
    300_000
  )

  it.live(
    "nothing that arrives is missed by who does much else between a write and a pull",
    () =>
      Effect.gen(function* () {
        const runs = record(
          stacks,
          (stack) => (operations: number) => Effect.suspend(() => between(targetOf(stack), "plain", operations))
        )
        assert.deepStrictEqual(yield* hanging(runs, many), [])
      }).pipe(Effect.provide(layer)),
    300_000
  )
})
