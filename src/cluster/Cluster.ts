/**
 * Effect Cluster over connections whose peers prove their keys.
 *
 * A runner's address in the database is its whole multiserver address, with its key. Runners and clients dial only keys
 * of a list, and runners let only keys of a list in, whatever the database says. What the database itself decides is
 * said in docs/cluster.md.
 *
 * Entities, storage and configuration are Effect's own: this module gives `Sharding` and takes a `MessageStorage`, a
 * `RunnerStorage` and a `ShardingConfig`.
 */
import * as Context from "effect/Context"
import type { MessageStorage } from "effect/cluster/MessageStorage"
import * as RunnerHealth from "effect/cluster/RunnerHealth"
import * as RunnerServer from "effect/cluster/RunnerServer"
import type { RunnerStorage } from "effect/cluster/RunnerStorage"
import * as Runners from "effect/cluster/Runners"
import * as Sharding from "effect/cluster/Sharding"
import { ShardingConfig } from "effect/cluster/ShardingConfig"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import { SocketServer } from "effect/socket/SocketServer"
import type { AddressError } from "../Address.ts"
import { Listening } from "../bridge/MultiserverSocketServer.ts"
import type { ListenError } from "../ListenError.ts"
import type { Listener } from "../Listener.ts"
import * as Multiserver from "../Multiserver.ts"
import { Members } from "./members.ts"
import { layerClientProtocol, memberSockets } from "./protocol.ts"
import { type RunnerError, runnerError, toRunnerAddress } from "./runnerAddress.ts"
import { isLight, layerChecked } from "./storage.ts"

export { authorize, type Lists, layerMembers, Members } from "./members.ts"
export { RunnerError } from "./runnerAddress.ts"

/** What runners and clients both put below Effect's layers. */
const between = Layer.merge(layerClientProtocol, layerChecked).pipe(
  Layer.provideMerge(RpcSerialization.layerSchemaBinary())
)

/** The addresses of `scope`. By default those for other machines, or for this one where there are no others. */
const addressesOf = ({ addresses }: Listener, scope: Multiserver.ListenOptions["scope"]) => {
  if (scope !== undefined) return addresses(scope)
  const others = addresses(["local", "public"])
  return others.length > 0 ? others : addresses("device")
}

/**
 * Runs entities, and calls those of other runners. It listens as long as the layer lives, with the same options as
 * `Multiserver.listen`. What it registers in the database are the listener's addresses that can be dialed from `scope`,
 * by default from other machines. `Listening` is its listener.
 *
 * Fails with a `RunnerError` before it registers when the others could not dial it: its key is not in the list of
 * runners, an address of it has no key, or the addresses have more than 253 characters, which is what the database
 * holds. Other runners are alive as long as they answer pings. When the layer is released, its connections
 * break off, and the shards are handed over to the others, who then run the persisted calls that were under way.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerRunner = (
  target: Multiserver.Target,
  options: Multiserver.ListenOptions = {}
): Layer.Layer<
  Sharding.Sharding | Runners.Runners | Listening,
  AddressError | ListenError | RunnerError,
  Multiserver.Multiserver | Members | ShardingConfig | MessageStorage | RunnerStorage
> =>
  Layer.unwrap(
    Effect.gen(function* () {
      const members = yield* Members
      const config = yield* ShardingConfig
      const listener = yield* Multiserver.listen(target, options)
      const { address, key } = yield* Effect.fromResult(toRunnerAddress(addressesOf(listener, options.scope)))
      if (!(yield* members.isRunner(key))) return yield* Effect.fail(runnerError(address.host, "NotListed"))
      const { assignedShardGroups, runnerShardWeight } = config
      if (!isLight(runnerShardWeight, assignedShardGroups.length)) {
        return yield* Effect.fail(runnerError(address.host, "TooHeavy"))
      }
      const { breakOff, server } = memberSockets(listener, members)
      const given = Context.make(SocketServer, server).pipe(
        Context.add(ShardingConfig, { ...config, runnerAddress: Option.some(address) })
      )
      // Added last, so that it runs first when the layer is released.
      return Layer.effectDiscard(Effect.addFinalizer(() => breakOff)).pipe(
        Layer.provideMerge(RunnerServer.layer),
        Layer.provideMerge(Sharding.layer),
        Layer.provide(RunnerHealth.layerPing),
        Layer.provideMerge(Runners.layerRpc),
        Layer.provide(RpcServer.layerProtocolSocketServer),
        Layer.provide(between),
        Layer.provide(Layer.succeedContext(given)),
        Layer.merge(Layer.succeed(Listening, listener))
      )
    })
  )

/**
 * Calls entities, and runs none: it listens on nothing and is not in the database. Its key has to be in one of the
 * lists of each runner.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerClient: Layer.Layer<
  Sharding.Sharding | Runners.Runners,
  never,
  Multiserver.Multiserver | Members | ShardingConfig | MessageStorage | RunnerStorage
> = RunnerServer.layerClientOnly.pipe(Layer.provide(between))
