/** How a member calls a runner. */
import { assert, describe, it } from "@effect/vitest"
import * as RunnerAddress from "effect/cluster/RunnerAddress"
import { RpcClientProtocol } from "effect/cluster/Runners"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Stream from "effect/Stream"
import { format } from "../../src/Address.ts"
import * as Cluster from "../../src/cluster/Cluster.ts"
import { layerClientProtocol } from "../../src/cluster/protocol.ts"
import { handlers, Procedures, serve, somebody, transports } from "../rpc/support.ts"

describe("a connection to a runner", () => {
  it.effect("answers other calls while a stream is read slowly", () =>
    Effect.gen(function* () {
      const [member, runner] = [yield* somebody(), yield* somebody()]
      const { layer } = yield* handlers
      const addresses = yield* serve(runner, "memory:runner~shs", layer)
      const protocols = layerClientProtocol.pipe(
        Layer.provide([member.layer, Cluster.layerMembers({ runners: [runner.key] })]),
        Layer.provide(RpcSerialization.layerSchemaBinary())
      )
      const { make } = yield* Effect.provide(RpcClientProtocol, yield* Layer.build(protocols))
      const protocol = yield* make(RunnerAddress.make(addresses.map((each) => format(each)).join(";"), 0))
      const { Bytes, WhoAmI } = yield* Effect.provideService(RpcClient.make(Procedures), RpcClient.Protocol, protocol)
      const answers = yield* Bytes({ chunks: 8 }, { streamBufferSize: 1 }).pipe(
        // Meanwhile the next chunks come, which nobody takes.
        Stream.mapEffect(() => Effect.replicateEffect(WhoAmI(), 20)),
        Stream.runCollect
      )
      assert.deepStrictEqual(answers.flat(), Array(8 * 20).fill(member.key))
    }).pipe(Effect.provide(transports))
  )
})
