/** Each fuzzer, ten thousand inputs. `npm run fuzz` gives each a million. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { keys } from "./boxes.ts"
import { fuzz } from "./fuzzer.ts"
import { fuzzers } from "./fuzzers.ts"
import { identity } from "./primitives.ts"
import { protocols } from "./protocols.ts"

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

describe.each(protocols)("a reader of $name", (protocol) => {
  setFlagsFromString("--expose_gc")
  const gc: () => void = runInNewContext("gc")
  /** Once nothing changes any more: buffers are let go of on another thread, a moment after. */
  const held = async () => {
    let last = -1
    for (let same = 0; same < 3; ) {
      gc()
      await new Promise((resolve) => setTimeout(resolve, 20))
      const now = process.memoryUsage().arrayBuffers
      same = now === last ? same + 1 : 0
      last = now
    }
    return last
  }

  it("holds nothing between frames, and at most one frame within one", async () => {
    const whole = protocol.frame(new Uint8Array(4096), 4096)
    const readers = Array.from({ length: 500 }, () => protocol.codec(identity, keys(protocol)).opener)
    const grown = async (length: number) => {
      const before = await held()
      for (const reader of readers) reader.open(whole.slice(0, length), [])
      return ((await held()) - before) / readers.length
    }
    assert.isBelow(await grown(whole.length), 100)
    assert.isBelow(await grown(whole.length - 1), whole.length + 100)
    assert.isBelow(await grown(1), 100)
  })
})
