/**
 * The orchestrator: every cell with fresh processes, repetitions interleaved over the peers and every second one
 * reversed.
 */
import { pair, single } from "./cell.mjs"
import { median } from "./measure.mjs"
import { find, rowOf } from "./peers/registry.mjs"
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

/** The same row of several checkouts one after the other, so that what is compared is measured in the same minute. */
const neighbours = (peers) => [...Map.groupBy(peers, rowOf).values()].flat()

/** All cells in their order: each repetition goes through the tests, and each round of a test through its peers. */
const cellsOf = function* (plan, repetitions) {
  for (let repetition = 0; repetition < repetitions; repetition++) {
    for (const [test, peers] of Object.entries(plan)) {
      const { once = false, times = 1 } = tests[test]
      if (once && repetition > 0) continue
      const order = neighbours(peers)
      for (let round = repetition * times; round < (repetition + 1) * times; round++) {
        for (const peer of round % 2 === 0 ? order : order.toReversed()) yield { test, peer, repetition, round }
      }
    }
  }
}

/** Two builds of one row: figures of this one over those of the other, of each round that both have come through. */
const compare = (ours, theirs) => {
  const rounds = [...ours.keys()].filter((round) => theirs.has(round))
  if (rounds.length === 0) return []
  return Object.keys(ours.get(rounds[0])).map((figure) => ({
    figure,
    ratios: rounds.map((round) => ours.get(round)[figure] / theirs.get(round)[figure])
  }))
}

/** Every `ROW` with every `ROW@DIR` of the same test. */
const comparisons = (plan, byRound) =>
  Object.entries(plan).flatMap(([test, peers]) =>
    peers.flatMap((peer) => {
      const row = rowOf(peer)
      if (row === peer || !peers.includes(row)) return []
      const [ours, theirs] = [row, peer].map((each) => byRound.get(`${test} ${each}`) ?? new Map())
      return compare(ours, theirs).map((compared) => ({ test, peer, ...compared }))
    })
  )

/**
 * Runs a plan, test to peers. `raw[test][peer]` are the figures of each cell, `median[test][peer]` those of the middle.
 * `paired` compares two builds, round by round.
 */
export const run = async (plan, { repetitions, seconds, say }) => {
  const raw = {}
  const byRound = new Map()
  for (const { peer, repetition, round, test } of cellsOf(plan, repetitions)) {
    say(`${repetition + 1}/${repetitions} ${test} ${peer}`)
    try {
      const figures = await cell(test, peer, seconds)
      raw[test] ??= {}
      raw[test][peer] ??= []
      raw[test][peer].push(figures)
      const key = `${test} ${peer}`
      byRound.set(key, (byRound.get(key) ?? new Map()).set(round, figures))
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
  return {
    raw: ordered,
    median: mapValues(ordered, (peers) => mapValues(peers, medians)),
    paired: comparisons(plan, byRound)
  }
}
