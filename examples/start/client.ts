import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Schedule, Stream } from "effect"
import { Connection, Identity, Multiserver, NodeMultiserver, Sodium } from "effect-multiserver/node"

const [address = ""] = process.argv.slice(2)

const Live = NodeMultiserver.layer().pipe(
  Layer.provide(Identity.layerFile("client.key")),
  Layer.provide([Sodium.layer, NodeServices.layer])
)

const program = Effect.gen(function* () {
  // All addresses are tried at once, and the first that answers wins. Together they have 5 seconds.
  const connection = yield* Multiserver.dial(address, { plan: "race", timeout: "5 seconds" })
  yield* connection.write(new TextEncoder().encode("hello"))
  yield* connection.end
  const answer = yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  yield* Console.log(`${connection.remote.stack} says ${answer}`)
})

program.pipe(
  Effect.scoped,
  // The whole conversation has 10 seconds, and is tried again where that can help: up to 5 times, after 1, 2, 4 ... s.
  Effect.timeout("10 seconds"),
  Effect.retry({ while: Multiserver.isRetryable, times: 5, schedule: Schedule.exponential("1 second") }),
  Effect.provide(Live),
  NodeRuntime.runMain
)
