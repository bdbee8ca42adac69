import { NodeServices } from "@effect/platform-node"
import { PgClient } from "@effect/sql-pg"
import { Config, Effect, Layer, Schema } from "effect"
import { ShardingConfig, SqlMessageStorage, SqlRunnerStorage } from "effect/cluster"
import { Digest } from "effect/crypto"
import { Cluster } from "effect-multiserver/cluster"
import { NodeMultiserver } from "effect-multiserver/node"

const lists = Config.all({
  runners: Config.Array(Schema.String, "CLUSTER_RUNNERS"),
  clients: Config.Array(Schema.String, "CLUSTER_CLIENTS").pipe(Config.withDefault([]))
})

/** The key of this process, from MULTISERVER_KEY_FILE, and the keys of all. */
const Keys = NodeMultiserver.layerConfig({ authorize: Cluster.authorize }).pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(lists, Cluster.layerMembers))),
  Layer.provide(NodeServices.layer)
)

/** PostgreSQL, and in it the calls that wait, and the table of runners. */
const Storage = Layer.merge(SqlMessageStorage.layer, SqlRunnerStorage.layer).pipe(
  Layer.provideMerge([PgClient.layerConfig({ url: Config.Redacted("DATABASE_URL") }), ShardingConfig.layerFromEnv()]),
  Layer.provide(Digest.layerWebCrypto)
)

/** What each process of the cluster needs. */
export const Member = Layer.merge(Keys, Storage)
