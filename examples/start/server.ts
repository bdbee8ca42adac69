import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { Connection, Events, Identity, Multiserver, NodeMultiserver, Policy, Sodium } from "effect-multiserver/node"

// The keys that may come in are the program's arguments.
const allowed = process.argv.slice(2)

const Live = Layer.unwrap(
  Effect.map(Policy.makeKeys(allowed), ({ authorize }) => NodeMultiserver.layer({ authorize }))
).pipe(
  Layer.provide(Identity.layerFileOrCreate("server.key")),
  Layer.provide([Sodium.layer, NodeServices.layer, Events.layerLog])
)

// A handler runs for each connection, in a fiber and a scope of its own. This one sends back what it gets.
const echo = (peer: Connection.Connection) => Stream.run(Connection.stream(peer), Connection.sink(peer))

const program = Effect.gen(function* () {
  // Port 0 takes any free port. Write a port of your own here.
  const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs;ws://127.0.0.1:0~shs")
  yield* Console.log(listener.addresses().join(";"))
  yield* listener.run(echo)
})

program.pipe(Effect.scoped, Effect.provide(Live), NodeRuntime.runMain)
