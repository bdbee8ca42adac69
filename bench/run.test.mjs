/** The order of what is measured, what is measured longer, and what the gates make of it. The figures are made up. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { cellsFor, exitCodeOf, gates, judge } from "./gates.mjs"
import { find } from "./peers/registry.mjs"
import { choice, field, matches } from "./plan.mjs"
import { collect, comparisons, longer, medians, run } from "./run.mjs"
import { tests } from "./suite.mjs"
import { promiseRows } from "./tables.mjs"

const gate = (name, values, more = {}) => ({
  match: name,
  name,
  most: 1,
  aim: 1,
  value: (of) => of(name, "ours").cost / of(name, "theirs").cost,
  values,
  ...more
})

/** Runs these gates. The ratio of a round is that of the gate's `values`, again from the first after the last. */
const ran = async (own, { seconds = 1e6, fails = () => false, others = [] } = {}) => {
  const series = [...matches(own), ...others]
  const order = []
  const rounds = new Map()
  let clock = 0
  await run(series, {
    say: () => {},
    seconds,
    now: () => clock,
    measure: async ({ peer, test }) => {
      clock++
      order.push(`${test} ${peer}`)
      const round = rounds.get(`${test} ${peer}`) ?? 0
      rounds.set(`${test} ${peer}`, round + 1)
      if (fails(peer, round)) throw new Error("it broke")
      const values = own.find(({ match }) => match === test)?.values ?? [1]
      return { cost: peer === "ours" ? values[round % values.length] : 1 }
    }
  })
  return { judged: judge(series), order, series }
}

const verdictsOf = ({ judged }) => judged.map(({ verdict }) => verdict)

describe("a run", () => {
  it("goes through all series in each round, and through the cells of each forth and back", async () => {
    const { order } = await ran([gate("a", [0.5]), gate("b", [0.5])])
    const forth = ["a ours", "a theirs", "b ours", "b theirs"]
    const back = ["a theirs", "a ours", "b theirs", "b ours"]
    assert.deepStrictEqual(order, [...forth, ...back, ...forth, ...back, ...forth])
  })

  it("measures what is clear five times, whether it is met or missed", async () => {
    const found = await ran([gate("good", [0.8, 0.9]), gate("bad", [1.1, 1.2])])
    assert.deepStrictEqual(verdictsOf(found), ["met", "missed"])
    assert.strictEqual(found.order.length, 20)
  })

  it("measures a gate that is not clear longer, and nothing else, until it is clear", async () => {
    const slow = [0.9, 1.05, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]
    const found = await ran([gate("slow", slow), gate("good", [0.8])])
    assert.deepStrictEqual(verdictsOf(found), ["met", "met"])
    assert.deepStrictEqual(
      found.series.map(({ rounds }) => rounds.length),
      [longer[0], 5]
    )
  })

  it("gives up after so many rounds, and calls the gate unclear", async () => {
    const found = await ran([gate("open", [0.9, 1.1])])
    assert.deepStrictEqual(verdictsOf(found), ["unclear"])
    assert.strictEqual(found.series[0].rounds.length, longer.at(-1))
  })

  it("gives up when its time is over", async () => {
    // Each cell takes a second of this clock.
    const found = await ran([gate("open", [0.9, 1.1])], { seconds: 5 })
    assert.strictEqual(found.series[0].rounds.length, 5 + 3)
  })

  it("measures longer only the cells that a gate needs", async () => {
    const open = gate("a", [0.9, 1.1])
    const clear = { ...open, name: "clear", value: (of) => of("a", "third").cost }
    const { order } = await ran([open, { ...clear, most: 2 }])
    assert.strictEqual(order.filter((cell) => cell === "a third").length, 5)
    assert.strictEqual(order.filter((cell) => cell === "a ours").length, longer.at(-1))
  })

  it("goes on without a cell that has failed once, and leaves it out after the second time", async () => {
    const once = await ran([gate("a", [0.5])], { fails: (peer, round) => peer === "theirs" && round === 1 })
    assert.deepStrictEqual(verdictsOf(once), ["met"])
    const always = await ran([gate("a", [0.5])], { fails: (peer) => peer === "theirs" })
    assert.deepStrictEqual(verdictsOf(always), ["not measured"])
    assert.strictEqual(always.order.filter((cell) => cell === "a theirs").length, 2)
  })

  it("has the figures of all series in its tables, in the order of the suite", async () => {
    const peers = { a: { peers: ["theirs", "ours", "another"] } }
    const own = [gate("a", [0.5])]
    const others = field(peers, matches(own), 3)
    const { series } = await ran(own, { others })
    const raw = collect(series, peers)
    assert.deepStrictEqual(
      Object.entries(raw.a).map(([peer, cells]) => [peer, cells.length]),
      [
        ["theirs", 5],
        ["ours", 5],
        ["another", 3]
      ]
    )
    assert.deepStrictEqual(medians(raw).a.ours, { cost: 0.5 })
  })

  it("compares two builds of one row in pairs", async () => {
    const others = choice(tests, { names: ["ping"], peers: ["ours", "net", "ours@/elsewhere"], repetitions: 2 })
    assert.deepStrictEqual(
      others[0].cells.map(({ peer }) => peer),
      ["ours", "ours@/elsewhere", "net"]
    )
    const { series } = await ran([], { others })
    assert.deepStrictEqual(comparisons(series), [
      { test: "ping", peer: "ours@/elsewhere", figure: "cost", ratios: [1, 1] }
    ])
  })
})

describe("the exit code", () => {
  it("is 1 when a limit is missed beyond doubt, and not when something is unclear", () => {
    const code = (...verdicts) => exitCodeOf(verdicts.map((verdict) => ({ verdict })))
    assert.deepStrictEqual(
      [code("met"), code("met", "unclear"), code("unclear", "missed"), code("not measured", "missed")],
      [0, 0, 1, 1]
    )
    assert.strictEqual(code("met", "not measured"), 2)
  })
})

describe("the gates", () => {
  it("ask for cells that there are", () => {
    for (const { peer, test } of gates.flatMap(cellsFor)) {
      assert.property(tests, test)
      assert.include(tests[test].peers, peer)
      find(peer)
    }
  })

  it("have a limit and an aim on its good side, and a name of their own", () => {
    for (const { aim, least, most, name } of gates) {
      assert.isTrue(most === undefined ? aim > least : aim < most, name)
    }
    assert.strictEqual(new Set(gates.map(({ name }) => name)).size, gates.length)
  })

  it("are on no percentile above p90", () => {
    const asked = new Set()
    const figures = new Proxy({}, { get: (_, key) => asked.add(key) && 1 })
    for (const { value } of gates) value(() => figures)
    assert.isTrue(asked.has("p50"))
    assert.deepStrictEqual(
      [...asked].filter((key) => /^p9/.test(key)),
      []
    )
  })

  it("compare over ws with bufferutil on both sides or on none", () => {
    for (const cells of gates.map(cellsFor)) {
      const overWs = cells.filter(({ peer }) => /\bws\b/.test(peer)).map(({ peer }) => find(peer).bufferutil)
      assert.isAtMost(new Set(overWs).size, 1)
    }
  })

  it("are those of docs/performance.md", () => {
    const page = readFileSync(new URL("../docs/performance.md", import.meta.url), "utf8")
    const rows = page
      .match(/\| promise \| limit \| aim \|\n(?:\|.*\n)+/)?.[0]
      .trimEnd()
      .split("\n")
      .slice(2)
    assert.deepStrictEqual(rows, promiseRows(gates))
  })
})
