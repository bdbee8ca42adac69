import { Effect, Schema } from "effect"
import { ClusterSchema, Entity } from "effect/cluster"
import { Rpc } from "effect/rpc"
import { SqlClient } from "effect/sql"

/**
 * A counter. `Add` is persisted: it waits in the database until it is answered, whatever happens to the runner. So it
 * may run twice, and its id makes it count once.
 */
export const Counter = Entity.make("Counter", [
  Rpc.make("Add", {
    payload: { id: Schema.String, amount: Schema.Int },
    primaryKey: ({ id }) => id,
    success: Schema.Int
  }).annotate(ClusterSchema.Persisted, true),
  Rpc.make("WhereAreYou", { success: Schema.String })
])

/** What a runner does for the counters that are on it. */
export const Counters = Counter.toLayer(
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    const { entityId } = yield* Entity.CurrentAddress
    const { host } = yield* Entity.CurrentRunnerAddress
    const add = (id: string, amount: number) =>
      sql`INSERT INTO additions (id, counter, amount) VALUES (${id}, ${entityId}, ${amount}) ON CONFLICT DO NOTHING`
    const total = sql<{ total: number }>`SELECT SUM(amount)::int AS total FROM additions WHERE counter = ${entityId}`
    return Counter.of({
      Add: ({ payload: { amount, id } }) =>
        add(id, amount).pipe(
          Effect.andThen(total),
          Effect.map(([row]) => row?.total ?? 0),
          Effect.orDie
        ),
      WhereAreYou: () => Effect.succeed(host)
    })
  })
)
