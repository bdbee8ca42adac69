/** A cluster's table of runners that says what it likes, and strangers: without a database. */
import { assert, describe, it } from "@effect/vitest"
import * as MachineId from "effect/cluster/MachineId"
import * as MessageStorage from "effect/cluster/MessageStorage"
import * as Runner from "effect/cluster/Runner"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import * as RunnerStorage from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as ShardingConfig from "effect/cluster/ShardingConfig"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Scope from "effect/Scope"
import { Listening } from "../../src/bridge/MultiserverSocketServer.ts"
import * as Cluster from "../../src/cluster/Cluster.ts"
import { layerClientProtocol } from "../../src/cluster/protocol.ts"
import { fromRunnerAddress } from "../../src/cluster/runnerAddress.ts"
import { layerChecked } from "../../src/cluster/storage.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { primitives } from "../support/primitives.ts"
import { multiserver, pattern, protocols } from "../support/servers.ts"

const keyOf = (seed: number) =>
  Identity.formatPublicKey(Identity.fromSeed(primitives, Redacted.make(pattern(32, seed))).publicKey)
const [one, two, client, stranger] = [71, 72, 73, 74].map(keyOf)

const runner = (host: string, weight = 1, groups: ReadonlyArray<string> = ["default"], port = 0) =>
  Runner.make({ address: RunnerAddress.make(host, port), groups, weight })

/** A table with these runners, and what was removed from it. */
const table = (...runners: ReadonlyArray<Runner.Runner>) => {
  const removed: Array<string> = []
  const storage = RunnerStorage.RunnerStorage.of({
    getRunners: Effect.succeed(runners.map((each): [Runner.Runner, boolean] => [each, true])),
    register: () => Effect.succeed(MachineId.make(1)),
    unregister: ({ host }) => Effect.sync(() => void removed.push(host)),
    setRunnerHealth: () => Effect.void,
    acquire: (_, shards) => Effect.succeed([...shards]),
    refresh: (_, shards) => Effect.succeed([...shards]),
    release: () => Effect.void,
    releaseAll: () => Effect.void
  })
  return { removed, layer: Layer.succeed(RunnerStorage.RunnerStorage, storage) }
}

const members = Cluster.layerMembers({ runners: [one, two] as Array<string>, clients: [client] as Array<string> })

describe("the table of a cluster", () => {
  const good = `net:10.0.0.1:8008~noise:${one};net:10.0.0.1:8009~shs:${one}`
  const cases = [
    ["a key that is not in the list", `net:10.0.0.9:8008~noise:${stranger}`, "NotListed"],
    ["the key of a client", `net:10.0.0.9:8008~noise:${client}`, "NotListed"],
    ["a second key", `net:10.0.0.9:8008~noise:${one};net:10.0.0.9:8008~noise:${stranger}`, "SeveralKeys"],
    ["two keys in one address", `net:10.0.0.9:8008~noise:${one}~shs:${two}`, "SeveralKeys"],
    ["no key", "net:10.0.0.9:8008", "NoKey"],
    ["an address without a key beside one that has it", `net:10.0.0.9:8008~noise:${one};unix:/tmp/s~noauth`, "NoKey"],
    ["10 kB", `net:10.0.0.9:8008~noise:${one};${"x".repeat(10_000)}`, "TooLong"],
    ["a host", "10.0.0.9", "Unreadable"],
    ["nothing", "", "Unreadable"],
    ["an end of line", `net:10.0.0.9:8008~noise:${one}\n`, "Unreadable"]
  ] as const

  it.live.each(cases)("a runner with %s gets no shards, and is logged once", ([, host, reason]) => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    return Effect.gen(function* () {
      const storage = yield* RunnerStorage.RunnerStorage
      yield* storage.getRunners
      assert.deepStrictEqual(
        (yield* storage.getRunners).map(([{ address }]) => address.host),
        [good]
      )
      assert.strictEqual(logged.length, 1)
      assert.include(logged[0], "is ignored")
      assert.isAtMost(logged[0]?.length ?? 0, 400)
      assert.notInclude(logged[0], "\n")
      // Nor is it dialed, however its address has come here. No Multiserver would have let it through.
      const dialed: Array<unknown> = []
      const spy = Layer.succeed(Multiserver.Multiserver, {
        dial: (target) =>
          Effect.andThen(
            Effect.sync(() => void dialed.push(target)),
            Effect.never
          ),
        listen: () => Effect.never
      })
      const called = Effect.gen(function* () {
        const { ping } = yield* Runners.Runners
        return yield* Effect.flip(ping(RunnerAddress.make(host, 0)))
      }).pipe(
        Effect.provide(
          Runners.layerRpc.pipe(
            Layer.provide(layerClientProtocol),
            Layer.provide([spy, RpcSerialization.layerSchemaBinary(), ShardingConfig.layer(), MessageStorage.layerNoop])
          )
        )
      )
      assert.strictEqual((yield* called)._tag, "RunnerUnavailable")
      assert.deepStrictEqual(dialed, [])
      const found = fromRunnerAddress(RunnerAddress.make(host, 0))
      if (reason !== "NotListed") assert.strictEqual(found._tag === "Failure" && found.failure.reason, reason)
    }).pipe(
      Effect.provide(layerChecked.pipe(Layer.provide(table(runner(host), runner(good)).layer))),
      Effect.provide([members, Logger.layer([logger])])
    )
  })

  it.effect("a runner that asks for more of the ring than a runner needs gets no shards", () =>
    Effect.gen(function* () {
      const groups = Array.from({ length: 101 }, (_, i) => `group-${i}`)
      const heavy = [
        runner(good, 1e9),
        runner(good, 0),
        runner(good, -1),
        runner(good, 1, groups),
        runner(good, 1, [], 8)
      ]
      const storage = yield* RunnerStorage.RunnerStorage.pipe(
        Effect.provide(layerChecked.pipe(Layer.provide(table(...heavy, runner(good, 100)).layer)))
      )
      assert.deepStrictEqual(
        (yield* storage.getRunners).map(([{ weight }]) => weight),
        [100]
      )
    }).pipe(Effect.provide([members, Logger.layer([])]))
  )

  it.effect("a runner that starts removes the other addresses of its key, once", () => {
    const older = [`net:10.0.0.1:8008~shs:${one}`, `net:10.0.0.7:8008~noise:${one}`]
    const { layer, removed } = table(...older.map((host) => runner(host)), runner(`net:10.0.0.2:8008~shs:${two}`))
    return Effect.gen(function* () {
      const storage = yield* RunnerStorage.RunnerStorage
      yield* storage.register(runner(good), true)
      assert.deepStrictEqual(removed, older)
      yield* storage.register(runner(good), true)
      assert.deepStrictEqual(removed, older)
    }).pipe(Effect.provide(layerChecked.pipe(Layer.provide(layer))), Effect.provide(members))
  })

  it.effect("the lists can be replaced, and stay as they are when a key does not parse", () =>
    Effect.gen(function* () {
      const { isMember, isRunner, replace } = yield* Cluster.Members
      const key = (text: string | undefined) => Identity.parsePublicKey(text ?? "") as Identity.PublicKey
      const error = yield* Effect.flip(replace({ runners: [stranger as string], clients: ["no key"] }))
      assert.strictEqual(error.index, 1)
      assert.deepStrictEqual([yield* isRunner(key(one)), yield* isMember(key(stranger))], [true, false])
      yield* replace({ runners: [stranger as string] })
      assert.deepStrictEqual([yield* isRunner(key(one)), yield* isMember(key(client))], [false, false])
      assert.deepStrictEqual([yield* isRunner(key(stranger)), yield* isMember(key(stranger))], [true, true])
    }).pipe(Effect.provide(members))
  )
})

/** A runner in memory, whose key is or is not in the list. */
const runnerOf = (target: string, listed: (own: string) => ReadonlyArray<string>, config = {}) =>
  Effect.gen(function* () {
    const own = Identity.formatPublicKey((yield* Identity.Identity).publicKey)
    return yield* Layer.build(
      Layer.fresh(Cluster.layerRunner(target)).pipe(
        Layer.provide(Cluster.layerMembers({ runners: listed(own) })),
        Layer.provide([ShardingConfig.layer(config), MessageStorage.layerNoop, RunnerStorage.layerMemory])
      )
    )
  })

describe("a runner", () => {
  it.effect.each([
    ["its key is not in the list", "memory:a~noise", (_: string) => [stranger as string], {}, "NotListed"],
    ["its address has no key", "memory:a", (own: string) => [own], {}, "NoKey"],
    [
      "its addresses are longer than the database holds",
      Array.from({ length: 4 }, (_, i) => `memory:${"a".repeat(20)}${i}~noise`).join(";"),
      (own: string) => [own],
      {},
      "TooLong"
    ],
    ["it is too heavy", "memory:a~noise", (own: string) => [own], { runnerShardWeight: 101 }, "TooHeavy"]
  ] as const)("does not start when %s", ([, target, listed, config, reason]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(runnerOf(target, listed, config))
      assert.strictEqual(error._tag === "RunnerError" && error.reason, reason)
      assert.isFalse(Multiserver.isRetryable(error))
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("puts a stranger out before it reads a byte, where authorize lets everybody in", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    return Effect.gen(function* () {
      const scope = yield* Scope.fork(yield* Effect.scope)
      const context = yield* Scope.provide(
        runnerOf("net:127.0.0.1:0~noise", (own) => [own]),
        scope
      )
      const { addresses } = yield* Effect.provideContext(Listening, context)
      const asStranger = Multiserver.layer(["net~noise"]).pipe(Layer.provide(Layer.fresh(protocols())), Layer.fresh)
      const connection = yield* Effect.provide(Multiserver.dial(addresses()), asStranger)
      const ended = yield* Effect.flip(connection.pull)
      assert.strictEqual(ended._tag === "ConnectionError" && ended.reason._tag, "Truncated")
      assert.isTrue(logged.some((line) => line.includes("A stranger from ")))
      yield* Scope.close(scope, Exit.void)
    }).pipe(Effect.provide(multiserver()), Effect.provide(Logger.layer([logger])))
  })
})
