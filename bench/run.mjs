/**
 * The orchestrator: goes through all series, round by round, and every second round of a series in reverse. Then it
 * measures longer what is not clear.
 */
import { cellsFor, judge } from "./gates.mjs"
import { rowOf } from "./peers/registry.mjs"
import { median } from "./statistics.mjs"

/** A cell that has failed so often is left out. */
const mostFailures = 2

const keyOf = ({ peer, test }) => `${test} ${peer}`

/** Measures one round of a series, or only some cells of it. */
const roundOf = async (series, cells, { failures, measure, say }) => {
  const round = new Map()
  for (const cell of series.rounds.length % 2 === 0 ? cells : cells.toReversed()) {
    const key = keyOf(cell)
    const failed = failures.get(key) ?? 0
    if (failed >= mostFailures) continue
    say(`${series.name}, round ${series.rounds.length + 1}: ${key}`)
    try {
      round.set(key, await measure(cell))
    } catch (error) {
      failures.set(key, failed + 1)
      say(`${key}: left out, ${error.message}`, true)
    }
  }
  series.rounds.push(round)
}

/** The keys of the cells that may still decide something: of gates that are not clear, and have all their cells. */
const openCells = (series, failures) =>
  judge([series])
    .filter(({ verdict }) => verdict === "unclear" || verdict === "not measured")
    .map(({ gate }) => cellsFor(gate).map(keyOf))
    .filter((keys) => keys.every((key) => (failures.get(key) ?? 0) < mostFailures))
    .flat()

/** Up to how many rounds a gate that is not clear is measured. It is judged after each of them, and not in between. */
export const longer = [10, 20]

/**
 * Brings each series with gates that are not clear up to so many rounds, of the cells that these gates need, until the
 * time is up.
 */
const settle = async (all, target, isLate, options) => {
  const open = all
    .map((series) => ({ series, keys: openCells(series, options.failures) }))
    .filter(({ keys, series }) => keys.length > 0 && series.rounds.length < target)
  while (open.some(({ series }) => series.rounds.length < target)) {
    for (const { keys, series } of open) {
      if (series.rounds.length >= target) continue
      if (isLate()) return
      const cells = series.cells.filter((cell) => keys.includes(keyOf(cell)))
      await roundOf(series, cells, options)
    }
  }
}

/**
 * Measures the rounds of all series; `measure(cell)` resolves with the figures of a cell. Afterwards, for as many
 * `seconds`, more rounds for the gates that are not clear. `now` tells the seconds.
 */
export const run = async (all, { measure, now = () => performance.now() / 1000, say, seconds }) => {
  const options = { failures: new Map(), measure, say }
  const most = Math.max(0, ...all.map(({ count }) => count))
  for (let round = 0; round < most; round++) {
    for (const series of all) if (round < series.count) await roundOf(series, series.cells, options)
  }
  const until = now() + seconds
  for (const target of longer) await settle(all, target, () => now() >= until, options)
}

/** `raw[test][peer]`: the figures of all cells, in the order of `tests` and then as they came. */
export const collect = (all, tests) => {
  const raw = Object.fromEntries(Object.keys(tests).map((test) => [test, {}]))
  for (const { cells, rounds } of all) {
    for (const cell of cells) {
      const figures = rounds.flatMap((round) => round.get(keyOf(cell)) ?? [])
      if (figures.length === 0) continue
      raw[cell.test][cell.peer] = [...(raw[cell.test][cell.peer] ?? []), ...figures]
    }
  }
  for (const [test, { peers }] of Object.entries(tests)) {
    const place = (peer) => (peers.includes(rowOf(peer)) ? peers.indexOf(rowOf(peer)) : peers.length)
    raw[test] = Object.fromEntries(Object.entries(raw[test]).toSorted(([a], [b]) => place(a) - place(b)))
  }
  return Object.fromEntries(Object.entries(raw).filter(([, peers]) => Object.keys(peers).length > 0))
}

const mapValues = (object, f) => Object.fromEntries(Object.entries(object).map(([key, value]) => [key, f(value, key)]))

/** Of each peer in each test, the median of each figure. */
export const medians = (raw) =>
  mapValues(raw, (peers) =>
    mapValues(peers, (cells) => mapValues(cells[0], (_, key) => median(cells.map((figures) => figures[key]))))
  )

/** Two builds of one row: figures of this one over those of the other, of each round that both have come through. */
const compare = (rounds, ours, theirs) => {
  const both = rounds.filter((round) => round.has(ours) && round.has(theirs))
  if (both.length === 0) return []
  return Object.keys(both[0].get(ours)).map((figure) => ({
    figure,
    ratios: both.map((round) => round.get(ours)[figure] / round.get(theirs)[figure])
  }))
}

/** Every `ROW` with every `ROW@DIR` of the same series. */
export const comparisons = (all) =>
  all.flatMap(({ cells, rounds }) =>
    cells.flatMap(({ peer, test }) => {
      const row = rowOf(peer)
      if (row === peer || !cells.some((cell) => cell.test === test && cell.peer === row)) return []
      const compared = compare(rounds, keyOf({ test, peer: row }), keyOf({ test, peer }))
      return compared.map((each) => ({ test, peer, ...each }))
    })
  )
