/** Gossip among 100 nodes. `GOSSIP=all`, which `npm run test:long` sets, takes more seeds. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import { simulate } from "./simulation.ts"

const seeds = process.env.GOSSIP === "all" ? Array.from({ length: 30 }, (_, i) => i + 1) : [1]

describe("100 nodes over memory, in virtual time", () => {
  it.effect.each(seeds)(
    "have each record within ceil(log2 n) rounds, while nodes stop, start anew, move and publish: seed %s",
    (seed) =>
      Effect.gen(function* () {
        const plan = { nodes: 100, degree: 12, churn: 6, changes: 5, seed }
        const { lacking, looked, moved, restarted } = yield* simulate(plan)
        assert.deepStrictEqual(lacking, [])
        assert.isAtLeast(looked, 5000)
        assert.isAtLeast(restarted, 20)
        assert.isAtLeast(moved, 5)
      }).pipe(Effect.provide(Logger.layer([])))
  )
})
