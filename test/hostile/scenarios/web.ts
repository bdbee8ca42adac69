/** What a page of the web can do from the user's own browser. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Checks } from "../checks.ts"
import type { Scenario } from "../scenario.ts"
import { attacker, startTarget, sum } from "../world.ts"

const post: Scenario = {
  name: "a page that posts",
  asset: "trust",
  attacker: "web page, other local user",
  threat: "a page posts to a loopback port on which plaintext is spoken, and is taken for the user",
  answer: "noauth over loopback is Anonymous: only unix sockets and memory are Trusted",
  promise: "a browser-shaped POST to a loopback net~noauth port never reaches a handler as Trusted",
  once: true,
  run: (_, size) =>
    Effect.gen(function* () {
      const checks = new Checks()
      const target = yield* startTarget("net~noauth")
      const rounds = size === "full" ? 100 : 6
      const result = Schema.Struct({ connections: Schema.Int, answered: Schema.Int })
      const child = yield* attacker("post", { target: target.address, rounds }, result)
      const { answered } = yield* child.result
      const { peers = {} } = yield* target.counts
      checks.holds((peers.Trusted ?? 0) === 0, `${peers.Trusted} were Trusted`)
      checks.holds(peers.Anonymous === rounds && sum(peers) === rounds, `they were ${JSON.stringify(peers)}`)
      checks.holds(answered === rounds, `only ${answered} reached the handler`)
      return checks.verdict(`${rounds} POSTs reached a handler: ${JSON.stringify(peers)}`)
    })
}

export const scenarios = [post]
