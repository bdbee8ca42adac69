import * as os from "node:os"
import { NodeRuntime } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import { Connection, Events, Multiserver, NodeIdentity, NodeMultiserver, Workers } from "effect-multiserver/node"

const Server = Multiserver.layerServer("net:127.0.0.1:0~shs", (peer) =>
  Connection.stream(peer).pipe(Stream.run(Connection.sink(peer)))
).pipe(Layer.provide(NodeMultiserver.layer()))

/** The identity, the limits and the sinks of events are those of all workers. */
Workers.launch(Server, { workers: os.availableParallelism() }).pipe(
  Effect.provide([NodeIdentity.layerEphemeral, Events.layerLog]),
  NodeRuntime.runMain
)
