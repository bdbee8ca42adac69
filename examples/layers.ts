import { NodeServices } from "@effect/platform-node"
import { Effect, Layer, Stream } from "effect"
import {
  Configuration,
  Connection,
  Identity,
  Multiserver,
  Net,
  NodeIdentity,
  NodeMultiserver,
  Shs,
  Sodium,
  WebSocket
} from "effect-multiserver/node"

/** The secret file is made by `multiserver keygen`, or by the program when it starts for the first time. */
export const withKeyFile = (path: string) =>
  NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerFileOrCreate(path)), Layer.provide(NodeServices.layer))

const echo = (peer: Connection.Connection) => Stream.run(Connection.stream(peer), Connection.sink(peer))

/** An echo server for `NodeRuntime.runMain(Layer.launch(Server))`. */
export const Server = Layer.unwrap(
  Effect.map(Configuration.listen, (target) => Multiserver.layerServer(target, echo))
).pipe(Layer.provide(NodeMultiserver.layerConfig()), Layer.provide(NodeServices.layer))

/** Speaks these two stacks and no others. */
export const ownStacks = Multiserver.layer(["net~shs", "ws~shs"]).pipe(
  Layer.provide([Net.layer(), WebSocket.layer(), Shs.layer()]),
  Layer.provide(NodeIdentity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

// @ts-expect-error Type 'Primitives<"Sodium.layer or Noble.layer">' is not assignable to type 'never'.
export const lacksPrimitives: Layer.Layer<Multiserver.Multiserver> = Multiserver.layer(["net~shs"]).pipe(
  Layer.provide([Net.layer(), Shs.layer()]),
  Layer.provide([Identity.layerEphemeral, Sodium.layer])
)

export const hasPrimitives: Layer.Layer<Multiserver.Multiserver> = Multiserver.layer(["net~shs"]).pipe(
  Layer.provide([Net.layer(), Shs.layer()]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

/** Its own app key, limits and policy, from `MULTISERVER_*` variables. */
export const withSettings = NodeMultiserver.layer().pipe(
  Layer.provide([Configuration.layerAppKey, Configuration.layerLimits, Configuration.layerPolicy]),
  Layer.provide(NodeIdentity.layerEphemeral)
)

export const withOwnKey = NodeMultiserver.layer().pipe(Layer.provideMerge(NodeIdentity.layerEphemeral))

/** Needs the `Multiserver` to listen, and the `Identity` to say its own key. */
export const sayKey = Effect.map(Identity.Identity, ({ publicKey }) => Identity.formatPublicKey(publicKey))
