/** The server of RPC over addresses. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Rpc from "effect/rpc/Rpc"
import type * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSchema from "effect/rpc/RpcSchema"
import type * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import type { AddressError } from "../Address.ts"
import { Accepted, Listening } from "../bridge/MultiserverSocketServer.ts"
import type { ListenError } from "../ListenError.ts"
import type { ListenOptions } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import { positive } from "../positive.ts"
import { listenAuthenticated } from "./listening.ts"
import * as Messages from "./messages.ts"
import { layerRequireKey, RequireKey } from "./peers.ts"
import * as Serving from "./serving.ts"

/**
 * How a server listens, and what it does at most for one connection.
 *
 * @category options
 * @since 0.1.0
 */
export interface ServerOptions {
  readonly listen?: ListenOptions
  /** How many calls of one connection are worked on at once. One more is refused with a defect. By default 128. */
  readonly calls?: number
  /**
   * The longest message in bytes, in both directions. By default 1 MiB. A connection with a longer one is broken off.
   * So one connection can make the server keep at most `calls * maxMessage` bytes of its calls.
   */
  readonly maxMessage?: number
  /** How messages are written, instead of schema-binary. It has to bound them itself: `maxMessage` is not used. */
  readonly serialization?: Layer.Layer<RpcSerialization.RpcSerialization>
  readonly disableTracing?: boolean
  readonly spanPrefix?: string
  readonly spanAttributes?: Record<string, unknown>
  /**
   * How many calls of all connections are worked on at once. By default as many as come. A stream counts until it has
   * ended, so peers that never acknowledge theirs can use up all places: set this only where you know all peers.
   */
  readonly concurrency?: number | "unbounded"
}

/**
 * Serves the procedures of the group over these addresses as long as the layer lives. It needs the handlers of the
 * group and gives `MultiserverSocketServer.Listening`, whose `addresses` can be dialed. Handlers of procedures with
 * `.middleware(RequireKey)` get their `RemotePeer`; the stacks of such a group have to prove keys, or the layer fails
 * with `NotListenable`. When the layer is released, calls that are under way are answered as long as the listener
 * drains, and streams are cut off.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { Rpc, RpcGroup } from "effect/rpc"
 * import { Identity, NodeIdentity, NodeMultiserver, Sodium } from "effect-multiserver/node"
 * import { MultiserverRpc } from "effect-multiserver/rpc"
 *
 * const WhoAmI = Rpc.make("WhoAmI", { success: Schema.String })
 * const Procedures = RpcGroup.make(WhoAmI).middleware(MultiserverRpc.RequireKey)
 * const handlers = Procedures.toLayer({
 *   WhoAmI: () => Effect.map(MultiserverRpc.RemotePeer, ({ publicKey }) => Identity.formatPublicKey(publicKey))
 * })
 * export const Live = MultiserverRpc.layerServer(Procedures, "net:127.0.0.1:0~shs").pipe(
 *   Layer.provide(handlers),
 *   Layer.provide(NodeMultiserver.layer()),
 *   Layer.provide(NodeIdentity.layerEphemeral),
 *   Layer.provide(Sodium.layer)
 * )
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerServer = <Rpcs extends Rpc.Any>(
  group: RpcGroup.RpcGroup<Rpcs>,
  target: Multiserver.Target,
  {
    calls = 128,
    listen,
    maxMessage = Messages.defaultMaxMessage,
    serialization = Messages.layer(maxMessage),
    ...options
  }: ServerOptions = {}
): Layer.Layer<
  Listening,
  AddressError | ListenError,
  Multiserver.Multiserver | Rpc.ToHandler<Rpcs> | Exclude<Rpc.Middleware<Rpcs>, RequireKey> | Rpc.ServicesServer<Rpcs>
> =>
  Layer.effect(
    Listening,
    Effect.gen(function* () {
      positive({ calls, maxMessage })
      const procedures = group.requests as ReadonlyMap<string, Rpc.Any> as ReadonlyMap<string, Rpc.AnyWithProps>
      const serving = yield* Serving.make({
        calls,
        overflow: "refuse",
        ended: "interrupt",
        isStream: (name) => {
          const procedure = procedures.get(name)
          return procedure !== undefined && RpcSchema.isStreamSchema(procedure.successSchema)
        }
      }).pipe(Effect.provide(serialization))
      // Built before the listener, and so released after it: calls are still answered while the listener drains.
      yield* Layer.build(
        RpcServer.layer(group, { ...options, disableFatalDefects: true }).pipe(
          Layer.provide([layerRequireKey, Layer.succeed(RpcServer.Protocol, serving.protocol)])
        )
      )
      const needsKeys = [...procedures.values()].some(({ middlewares }) => middlewares.has(RequireKey))
      const listener = yield* needsKeys
        ? listenAuthenticated(target, listen, "a procedure of this group is for peers that have proved their key")
        : Multiserver.listen(target, listen)
      yield* Effect.forkScoped(
        listener.run((connection) => Effect.provideService(serving.serve(connection), Accepted, connection))
      )
      return listener
    })
  )
