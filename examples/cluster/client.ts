import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Cluster } from "effect-multiserver/cluster"
import { Counter } from "./counter.ts"
import { Member } from "./member.ts"

const [name = "", amount = "1"] = process.argv.slice(2)

const program = Effect.gen(function* () {
  const counter = (yield* Counter.client)(name)
  const total = yield* counter.Add({ id: crypto.randomUUID(), amount: Number(amount) })
  yield* Console.log(`${name} is ${total}, at ${yield* counter.WhereAreYou()}`)
})

program.pipe(Effect.scoped, Effect.provide(Cluster.layerClient.pipe(Layer.provide(Member))), NodeRuntime.runMain)
