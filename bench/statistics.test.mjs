/** What may be concluded from figures: known ones, and any. */
import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { fewest, generator, interval, median, verdictOf } from "./statistics.mjs"

/** Values around a middle, some of them far off, as on a busy machine. */
const noisy = (count, middle, seed) => {
  const random = generator(seed)
  return Array.from({ length: count }, () => {
    const spread = random() < 0.15 ? 0.6 : 0.15
    return middle * Math.exp(spread * (random() + random() + random() - 1.5))
  })
}

const clear = [0.41, 0.43, 0.42, 0.4, 0.44]
const unclear = [0.44, 0.52, 0.45, 0.47, 0.43]

describe("an interval", () => {
  it("has the median of its values inside, and is inside their range", () => {
    const values = fc.array(fc.double({ min: 1e-6, max: 1e6, noNaN: true }), { minLength: 1, maxLength: 25 })
    fc.assert(
      fc.property(values, (values) => {
        const { high, low, median: middle } = interval(values)
        assert.strictEqual(middle, median(values))
        assert.isTrue(low <= middle && middle <= high)
        assert.isTrue(Math.min(...values) <= low && high <= Math.max(...values))
      })
    )
  })

  it("is the same for the same values, whatever was computed before", () => {
    const first = interval(unclear)
    interval(clear)
    assert.deepStrictEqual(interval(unclear), first)
  })

  it("is that of the values multiplied, if they are multiplied", () => {
    const { high, low } = interval(unclear)
    const doubled = interval(unclear.map((value) => 2 * value))
    assert.deepStrictEqual([doubled.low, doubled.high], [2 * low, 2 * high])
  })

  it("of five values is their range", () => {
    assert.deepStrictEqual(interval(unclear), { low: 0.43, median: 0.45, high: 0.52 })
  })

  it("of one value is that value", () => {
    assert.deepStrictEqual(interval([3]), { low: 3, median: 3, high: 3 })
  })

  it.each([5, 10, 20])("of %i values has the truth inside in nearly all cases", (count) => {
    const seeds = Array.from({ length: 60 }, (_, i) => i + 1)
    const right = seeds.filter((seed) => {
      const { high, low } = interval(noisy(count, 1, seed))
      return low <= 1 && 1 <= high
    })
    assert.isAtLeast(right.length, 52)
  })
})

describe("a limit", () => {
  it("that all values keep is met, and missed if none does", () => {
    assert.strictEqual(verdictOf({ most: 0.46 }, clear), "met")
    assert.strictEqual(verdictOf({ most: 0.39 }, clear), "missed")
    assert.strictEqual(verdictOf({ least: 0.39 }, clear), "met")
    assert.strictEqual(verdictOf({ least: 0.46 }, clear), "missed")
  })

  it("is met when the worst end of the interval is the limit", () => {
    assert.strictEqual(verdictOf({ most: 0.44 }, clear), "met")
    assert.strictEqual(verdictOf({ least: 0.4 }, clear), "met")
    assert.strictEqual(verdictOf({ most: 0.4 }, clear), "unclear")
    assert.strictEqual(verdictOf({ least: 0.44 }, clear), "unclear")
  })

  it("inside the interval is unclear, on whichever side the median is", () => {
    assert.strictEqual(verdictOf({ most: 0.46 }, unclear), "unclear")
    assert.strictEqual(verdictOf({ most: 0.44 }, unclear), "unclear")
  })

  it("is unclear with too few values, however clear these are", () => {
    assert.strictEqual(verdictOf({ most: 1 }, clear.slice(0, fewest - 1)), "unclear")
    assert.strictEqual(verdictOf({ most: 1 }, []), "unclear")
  })

  it("that is unclear becomes clear with more pairs", () => {
    const values = noisy(20, 0.42, 5)
    const verdicts = [5, 10, 20].map((count) => verdictOf({ most: 0.45 }, values.slice(0, count)))
    assert.deepStrictEqual(verdicts, ["unclear", "unclear", "met"])
  })
})
