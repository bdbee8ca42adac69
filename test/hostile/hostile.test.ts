/**
 * Every kind of attack, a few times: the quick size of what `npm run test:hostile` measures. Times count for nothing
 * here, but that all ends.
 */
import * as fs from "node:fs"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { bundle } from "../support/bundle.ts"
import { quickStacksOf } from "./scenario.ts"
import { scenarios } from "./scenarios/index.ts"
import { shelf } from "./shelf.ts"
import { Attackers, Bystanders, Targets } from "./world.ts"

/** Only what hangs takes as long, however busy the machine is. */
const slow = 600_000

/** As long as all attacks. */
const scope = Scope.makeUnsafe()
const processes = Context.make(Targets, shelf(scope)).pipe(
  Context.add(Bystanders, shelf(scope)),
  Context.add(Attackers, shelf(scope))
)

/** All that anything is tried on. */
const tried = [...new Set(scenarios.flatMap(quickStacksOf))]

beforeAll(async () => {
  process.env.HOSTILE_PROGRAMS = await bundle("hostile", {
    target: new URL("../target.ts", import.meta.url),
    dialer: new URL("dialer.ts", import.meta.url)
  })
})
afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

for (const stack of tried) {
  describe(`a server and a client on ${stack} answer`, () => {
    for (const scenario of scenarios) {
      const { name, run, threat } = scenario
      if (!quickStacksOf(scenario).includes(stack)) continue
      it.live(
        `${name}: ${threat}`,
        () =>
          Effect.map(Effect.scoped(Effect.provide(run(stack, "quick"), processes)), ({ broken }) =>
            assert(broken.length === 0, broken.join("\n"))
          ),
        slow
      )
    }
  })
}

describe("docs/threat-model.md", () => {
  const text = fs.readFileSync(new URL("../../docs/threat-model.md", import.meta.url), "utf8")

  it.each(scenarios.map((scenario) => [scenario.name, scenario] as const))("has the promise of %s", (_, scenario) => {
    const { answer, asset, attacker, name, promise, threat } = scenario
    assert.include(text, `| ${[asset, attacker, threat, answer, promise, name].join(" | ")} |`)
  })

  const named = [...text.matchAll(/`(test\/[^`]+)`: (.+) \|$/gm)].map(
    ([, file = "", name = ""]) => [file, name] as const
  )

  it.each(named)("names a test that is in %s: %s", (file, name) => {
    assert.include(fs.readFileSync(new URL(`../../${file}`, import.meta.url), "utf8"), name)
  })
})
