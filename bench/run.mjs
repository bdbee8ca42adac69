/** The orchestrator: every cell with fresh processes, repetitions interleaved over the peers and every second one reversed. */
import { pair, single } from "./cell.mjs"
import { median } from "./measure.mjs"
import { find } from "./peers/registry.mjs"
import { tests } from "./suite.mjs"

const cell = (test, peer, seconds) => {
  const row = find(peer)
  const { alone, longer = 1, run } = tests[test]
  const options = { seconds: seconds * longer }
  return alone
    ? single(row, (child) => run(child, { ...options, peer }))
    : pair(row, (server, client) => run(server, client, options))
}

/** Median of each figure of a peer over its repetitions. */
const medians = (cells) =>
  Object.fromEntries(Object.keys(cells[0]).map((key) => [key, median(cells.map((figures) => figures[key]))]))

const mapValues = (object, f) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value)]))

/** All cells in their order: each repetition goes through the tests, and each round of a test through its peers. */
const cellsOf = function* (plan, repetitions) {
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const [test, peers] of Object.entries(plan)) {
      const { once = false, times = 1 } = tests[test]
      if (once && repetition > 0) continue
      for (let round = repetition * times; round < (repetition + 1) * times; round++) {
        for (const peer of round % 2 === 0 ? peers : peers.toReversed()) yield { test, peer, repetition }
      }
    }
  }
}

/** Runs a plan, test to peers. `raw[test][peer]` are the figures of each cell, `median[test][peer]` those of the middle. */
export const run = async (plan, { repetitions, seconds, say }) => {
  const raw = {}
  for (const { peer, repetition, test } of cellsOf(plan, repetitions)) {
    say(`${repetition + 1}/${repetitions} ${test} ${peer}`)
    try {
      const figures = await cell(test, peer, seconds)
      raw[test] ??= {}
      raw[test][peer] ??= []
      raw[test][peer].push(figures)
    } catch (error) {
      say(`${test} ${peer}: left out, ${error.message}`, true)
    }
  }
  // In the order of the plan, whichever came first.
  const ordered = Object.fromEntries(
    Object.entries(plan).map(([test, peers]) => [
      test,
      Object.fromEntries(peers.filter((peer) => raw[test]?.[peer]).map((peer) => [peer, raw[test][peer]]))
    ])
  )
  return { raw: ordered, median: mapValues(ordered, (peers) => mapValues(peers, medians)) }
}
