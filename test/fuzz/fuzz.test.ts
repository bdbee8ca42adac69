/** Each fuzzer, ten thousand inputs. `npm run fuzz` gives each a million. */
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { readsTypes } from "../support/nodes.ts"
import { fuzz } from "./fuzzer.ts"
import { fuzzers } from "./fuzzers.ts"
import { protocols } from "./protocols.ts"

/** What test/fuzz/held.ts says, in bytes for each reader. */
const Grown = Schema.fromJsonString(
  Schema.Record(
    Schema.String,
    Schema.Struct({
      betweenFrames: Schema.Number,
      withinFrame: Schema.Number,
      withinHead: Schema.Number,
      frame: Schema.Number
    })
  )
)

const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 32))

describe(`with the seed ${seed} (FUZZ_SEED)`, () => {
  for (const fuzzer of fuzzers) {
    it(`${fuzzer.name} holds for 10,000 inputs, and gets to all that it is meant to`, async () => {
      const { outcomes } = await fuzz(fuzzer, { seed, inputs: 10_000 })
      const missed = fuzzer.reaches.filter((outcome) => !outcomes.has(outcome))
      assert.deepStrictEqual(missed, [], [...outcomes].join(" "))
    })
  }

  it("fails when a property does not hold, and says how to have it again", async () => {
    const broken = {
      name: "broken",
      reaches: [],
      run: (random: { readonly below: (n: number) => number }) => {
        if (random.below(100) === 7) throw new Error("seven")
        return 1
      }
    }
    const failure = await fuzz(broken, { seed, inputs: 10_000 }).catch((error: Error) => error.message)
    const run = /--only broken --seed (\d+) --run (\d+)/.exec(String(failure))
    assert.strictEqual(Number(run?.[1]), seed)
    const again = await fuzz(broken, { seed, inputs: 1, run: Number(run?.[2]) }).catch((error: Error) => error.message)
    assert.include(String(again), "seven")
  })
})

describe("a reader", () => {
  const script = fileURLToPath(new URL("held.ts", import.meta.url))

  it("holds nothing between frames, and at most one frame within one", async () => {
    const { stdout } = await promisify(execFile)(readsTypes, ["--expose-gc", script])
    const grown = Schema.decodeUnknownSync(Grown)(stdout)
    assert.deepStrictEqual(
      Object.keys(grown),
      protocols.map(({ name }) => name)
    )
    for (const { betweenFrames, frame, withinFrame, withinHead } of Object.values(grown)) {
      assert.isBelow(betweenFrames, 100)
      assert.isBelow(withinFrame, frame + 100)
      assert.isBelow(withinHead, 100)
    }
  })
})
