import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { Cluster } from "effect-multiserver/cluster"
import { Configuration, MultiserverSocketServer } from "effect-multiserver/node"
import { Counters } from "./counter.ts"
import { Member } from "./member.ts"

/** It listens where MULTISERVER_LISTEN says. */
const Runner = Layer.unwrap(Effect.map(Configuration.listen, (addresses) => Cluster.layerRunner(addresses)))

const hello = Effect.gen(function* () {
  const { addresses } = yield* MultiserverSocketServer.Listening
  yield* Console.log(`runs at ${addresses().join(";")}`)
})

Layer.launch(Layer.merge(Counters, Layer.effectDiscard(hello)).pipe(Layer.provide(Runner), Layer.provide(Member))).pipe(
  NodeRuntime.runMain
)
