/**
 * A cluster of processes over a real PostgreSQL: three runners and a client, a stranger in the database, one runner
 * that is killed and one that is drained, and a change of protocol while calls are made. docs/cluster.md promises it.
 */
import * as net from "node:net"
import * as path from "node:path"
import { PgClient } from "@effect/sql-pg"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { SqlClient } from "effect/sql/SqlClient"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import { folder } from "../cli/support.ts"
import { hasPostgres, postgres } from "../support/postgres.ts"
import { primitives } from "../support/primitives.ts"
import { pattern } from "../support/servers.ts"
import { keyFile, programs, quick, start } from "./processes.ts"

const somebody = (seed: number) => Identity.fromSeed(primitives, Redacted.make(pattern(32, seed)))
const one = somebody(61)
const two = somebody(62)
const three = somebody(63)
const client = somebody(64)
const stranger = somebody(65)
const keyOf = ({ publicKey }: Identity.KeyPair) => Identity.formatPublicKey(publicKey)

const both = "net:127.0.0.1:0~noise;net:127.0.0.1:0~shs"
const noise = "net:127.0.0.1:0~noise"

/** A port of a stranger, and how often somebody has connected. */
const trap = Effect.acquireRelease(
  Effect.callback<{ readonly port: number; readonly server: net.Server; readonly count: () => number }>((resume) => {
    let count = 0
    const server = net.createServer((socket) => {
      count += 1
      socket.on("error", () => {}).destroy()
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed({ port, server, count: () => count }))
    })
  }),
  ({ server }) => Effect.sync(() => void server.close())
)

/** What all tests share: they are one story. */
const make = Effect.gen(function* () {
  const bundled = yield* Effect.promise(() => programs("cluster"))
  const url = yield* postgres
  const context = yield* Layer.build(PgClient.layer({ url: Redacted.make(url), maxConnections: 2 }))
  const sql = yield* Effect.provideContext(SqlClient, context)
  yield* sql`CREATE TABLE additions (id TEXT PRIMARY KEY, counter TEXT NOT NULL, amount INT NOT NULL)`
  const keys = yield* folder
  const env = {
    ...quick,
    DATABASE_URL: url,
    CLUSTER_RUNNERS: [one, two, three].map(keyOf).join(","),
    CLUSTER_CLIENTS: keyOf(client)
  }
  const member = (program: string, pair: Identity.KeyPair, more: Record<string, string> = {}) =>
    start(path.join(bundled, `${program}.mjs`), {
      ...env,
      ...more,
      MULTISERVER_KEY_FILE: keyFile(keys, keyOf(pair).replaceAll("/", "_"), pair)
    })
  const runner = (pair: Identity.KeyPair, listen: string) =>
    Effect.tap(member("runner", pair, { MULTISERVER_LISTEN: listen }), ({ runsAt }) => runsAt)
  return {
    sql,
    runner,
    trap: yield* trap,
    client: yield* member("client", client),
    runners: { one: yield* runner(one, both), two: yield* runner(two, both), three: yield* runner(three, both) }
  }
})

const scope = Scope.makeUnsafe()
let world: Effect.Success<typeof make>

const rows = (name: string) =>
  world.sql<{ ids: number; sum: number }>`
    SELECT COUNT(*)::int AS ids, SUM(amount)::int AS sum FROM additions WHERE id LIKE ${`${name}-%`}`.pipe(
    Effect.map(([row]) => row)
  )

/** Puts a runner into the table, for ever. */
const plant = (host: string, weight = 1, port = 0) => {
  const runner = JSON.stringify({ address: { host, port }, groups: ["default"], weight })
  return world.sql`INSERT INTO cluster_runners (address, runner, healthy, last_heartbeat)
    VALUES (${`${host}:${port}`.slice(0, 255)}, ${runner}, true, NOW() + INTERVAL '1 day')`
}

const registered = Effect.suspend(
  () =>
    world.sql<{ address: string }>`SELECT address FROM cluster_runners WHERE last_heartbeat < NOW() + INTERVAL '1 hour'`
).pipe(Effect.map((found) => found.map(({ address }) => address)))

const figures: Array<string> = []

describe.runIf(hasPostgres)("a cluster of three runners, over real PostgreSQL", () => {
  beforeAll(async () => {
    world = await Effect.runPromise(Scope.provide(make, scope))
  })
  afterAll(async () => {
    await Effect.runPromise(Scope.close(scope, Exit.void))
    for (const figure of figures) console.log(`MEASURED in a cluster: ${figure}`)
  })

  it.live("answers calls to 20 entities on all three", () =>
    Effect.gen(function* () {
      // What the database may say of strangers, before the first call.
      const { port } = world.trap
      const here = `net:127.0.0.1:${port}`
      yield* plant(`${here}~noise:${keyOf(stranger)}`)
      yield* plant(`${here}~noise:${keyOf(one)};${here}~noise:${keyOf(stranger)}`)
      yield* plant(here)
      yield* plant(`${here}~noise:${keyOf(one)}`, 1e9)
      yield* plant(`${here}~noise:${keyOf(client)}`)
      yield* plant("127.0.0.1", 1, port)
      yield* plant(`${here}~noise:${keyOf(one)};${"x".repeat(10_000)}`)
      yield* world.client.order({ name: "where", what: "WhereAreYou", count: 200, counters: 20, atOnce: 1 })
      const { answers, count, p50, p99 } = yield* world.client.done("where")
      assert.strictEqual(count, 200)
      assert.strictEqual(answers.length, 3)
      figures.push(`an entity call takes ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms`)
    })
  )

  it.live("loses no persisted call when one is killed", () =>
    Effect.gen(function* () {
      yield* world.client.order({ name: "kill", what: "Add", count: 300, counters: 20, atOnce: 4 })
      yield* world.client.answered("kill", 100)
      yield* world.runners.two.kill("SIGKILL")
      const { count, p50, slowest } = yield* world.client.done("kill")
      assert.strictEqual(count, 300)
      assert.deepStrictEqual(yield* rows("kill"), { ids: 300, sum: 300 })
      figures.push(
        `300 persisted calls, p50 ${p50.toFixed(1)} ms; after a SIGKILL the slowest took ${slowest.toFixed(0)} ms`
      )
    })
  )

  it.live("loses no persisted call when one is drained, which leaves the table", () =>
    Effect.gen(function* () {
      const leaving = world.runners.three
      const address = yield* leaving.runsAt
      yield* world.client.order({ name: "drain", what: "Add", count: 200, counters: 20, atOnce: 4 })
      yield* world.client.answered("drain", 50)
      yield* leaving.kill("SIGTERM")
      yield* leaving.exit
      assert.notInclude((yield* registered).join(), address)
      const { slowest } = yield* world.client.done("drain")
      assert.deepStrictEqual(yield* rows("drain"), { ids: 200, sum: 200 })
      figures.push(`while one was drained the slowest of 200 persisted calls took ${slowest.toFixed(0)} ms`)
    })
  )

  it.live("changes from shs and noise to noise alone, one runner after another, and loses no persisted call", () =>
    Effect.gen(function* () {
      yield* world.client.order({ name: "change", what: "Add", count: 500, counters: 20, atOnce: 4, pause: 40 })
      yield* world.client.answered("change", 50)
      world.runners.two = yield* Scope.provide(world.runner(two, noise), scope)
      yield* world.client.answered("change", 150)
      world.runners.three = yield* Scope.provide(world.runner(three, noise), scope)
      yield* world.client.answered("change", 250)
      yield* world.runners.one.kill("SIGTERM")
      yield* world.runners.one.exit
      world.runners.one = yield* Scope.provide(world.runner(one, noise), scope)
      const { count, slowest } = yield* world.client.done("change")
      assert.strictEqual(count, 500)
      assert.deepStrictEqual(yield* rows("change"), { ids: 500, sum: 500 })
      const addresses = yield* registered
      assert.deepStrictEqual(
        addresses.filter((each) => each.includes("shs")),
        []
      )
      assert.strictEqual(addresses.length, 3)
      figures.push(
        `during the change of protocol 500 persisted calls were sent and ${count} answered, the slowest in ${slowest.toFixed(0)} ms`
      )
    })
  )

  it.live("nobody has dialed what a stranger has put into the table, and a stranger gets in nowhere", () =>
    Effect.gen(function* () {
      assert.strictEqual(world.trap.count(), 0)
      const asStranger = Multiserver.layer(["net~noise"]).pipe(
        Layer.provide([Net.layer(), Noise.layer()]),
        Layer.provide([Layer.succeed(Identity.Identity, stranger), Sodium.layer])
      )
      for (const runner of Object.values(world.runners)) {
        const error = yield* Effect.flip(Effect.provide(Multiserver.dial(yield* runner.runsAt), asStranger))
        assert.include(error.message, "it refuses our key")
      }
    })
  )
})
