/**
 * What a run measures: a list of series. The cells of a series are measured one right after the other, once a round, so
 * that what is compared has the same machine. A cell is `{ test, peer }`.
 */
import { cellsFor } from "./gates.mjs"
import { find, rowOf } from "./peers/registry.mjs"
import { fewest } from "./statistics.mjs"

const keyOf = ({ peer, test }) => `${test} ${peer}`

const unique = (cells) => [...new Map(cells.map((cell) => [keyOf(cell), cell])).values()]

/** One series for each match of these gates. */
export const matches = (gates, count = fewest) =>
  [...Map.groupBy(gates, ({ match }) => match)].map(([name, ofMatch]) => ({
    name,
    gates: ofMatch,
    cells: unique(ofMatch.flatMap(cellsFor)),
    count,
    rounds: []
  }))

const series = (name, peers, count) => ({
  name,
  cells: peers.map((peer) => ({ test: name, peer })),
  count,
  rounds: []
})

/** One series for each test with its peers, but for the cells that other series have. */
export const field = (tests, others, repetitions) => {
  const taken = new Set(others.flatMap(({ cells }) => cells.map(keyOf)))
  return Object.entries(tests).flatMap(([name, { once = false, peers }]) => {
    const left = peers.filter((peer) => !taken.has(keyOf({ test: name, peer })))
    return left.length === 0 ? [] : [series(name, left, once ? 1 : repetitions)]
  })
}

/** The same row of several checkouts one after the other, because they are compared. */
const neighbours = (peers) => [...Map.groupBy(peers, rowOf).values()].flat()

/**
 * One series for each chosen test. The peers that were asked for are in each, but for what runs in one process; without
 * any, those of the test.
 */
export const choice = (tests, { names = Object.keys(tests), peers: asked, repetitions }) => {
  const unknown = names.filter((name) => tests[name] === undefined)
  if (unknown.length > 0) throw new Error(`no test ${unknown}; there are ${Object.keys(tests).join(", ")}`)
  asked?.forEach(find)
  const peersOf = ({ alone, peers }) => {
    if (asked === undefined) return peers
    if (!alone) return asked
    return [...peers.filter((peer) => peer === "libsodium"), ...asked.filter((peer) => peers.includes(rowOf(peer)))]
  }
  return names.map((name) => series(name, neighbours(peersOf(tests[name])), repetitions))
}
