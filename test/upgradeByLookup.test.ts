/** A protocol is rolled out by what is looked up: examples/upgrade-by-lookup.ts. */
import { assert, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { story } from "../examples/upgrade-by-lookup.ts"

it.live("ten peers go from shs to noise and noisepq, and no connection that can be made is lost", () =>
  Effect.gen(function* () {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    // It fails if a connection breaks, or if a peer can't be reached in the end.
    const steps = yield* Effect.ensuring(
      story,
      Effect.sync(() => log.mockRestore())
    )
    const spoken = steps.map(({ counts }) => Object.keys(counts).sort())
    assert.strictEqual(steps.length, 21)
    assert.deepStrictEqual(spoken[0], ["shs"])
    // One peer that speaks noise has nobody to speak it with.
    assert.deepStrictEqual(spoken[1], ["shs"])
    // All speak noise, and nobody but noise, until two speak noisepq.
    assert.deepStrictEqual([spoken[10], spoken[11]], [["noise"], ["noise"]])
    assert.deepStrictEqual(spoken[20], ["noisepq"])
    for (const protocols of spoken.slice(11)) assert.notInclude(protocols, "shs")
  })
)
