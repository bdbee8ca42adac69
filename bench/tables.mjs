/** The figures as text. */
import { titles } from "./peers/registry.mjs"
import { interval } from "./statistics.mjs"

const columns = {
  mbPerSecond: ["MB/s", 0],
  messagesPerSecond: ["messages/s", 0],
  cpuPerGib: ["CPU s/GiB", 2],
  clientCpuPerGib: ["client", 2],
  serverCpuPerGib: ["server", 2],
  p50: ["p50 us", 1],
  p90: ["p90 us", 1],
  p99: ["p99 us", 0],
  perSecond: ["dials/s", 0],
  cpuMicros: ["CPU us/dial", 0],
  clientCpuMicros: ["client", 0],
  serverCpuMicros: ["server", 0],
  kib: ["KiB/connection", 1],
  clientKib: ["client", 1],
  serverKib: ["server", 1],
  heapKib: ["heap KiB", 1],
  clientHeapKib: ["client", 1],
  serverHeapKib: ["server", 1],
  primitivesMicros: ["primitives us", 0],
  machineMicros: ["ours us", 0],
  perCpuSecond: ["addresses/s", 0],
  milliseconds: ["ms", 1],
  peakMib: ["peak MiB", 1],
  cpuMicrosAt8: ["8 at once, CPU us/dial", 0],
  cpuMicrosAt512: ["512 at once", 0],
  cpuPerGibAt16MiB: ["of 16 MiB, CPU s/GiB", 2],
  cpuPerGibAt4096MiB: ["of 4 GiB", 2],
  growth: ["growth", 2]
}

const format = (value, digits) =>
  value.toLocaleString("en-US", { minimumFractionDigits: digits, maximumFractionDigits: digits })

/** Rows of cells as columns: the first is aligned to the left, the others to the right. */
export const layout = (rows) => {
  const widths = rows[0].map((_, i) => Math.max(...rows.map((row) => row[i].length)))
  return rows
    .map((row) => row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join("  "))
    .join("\n")
}

const title = (peer) => {
  const [row, root] = peer.split("@")
  return root === undefined ? (titles[row] ?? row) : `${titles[row] ?? row} @${root}`
}

/** One test: a line a peer. */
export const table = (test, medians) => {
  const peers = Object.entries(medians)
  const keys = Object.keys(peers[0][1])
  const known = keys.map((key) => columns[key] ?? [key, 2])
  const lines = peers.map(([peer, figures]) => [
    title(peer),
    ...keys.map((key, i) => (figures[key] === undefined ? "" : format(figures[key], known[i][1])))
  ])
  return layout([[test, ...known.map(([name]) => name)], ...lines])
}

/** A ratio with two digits, a count with thousands. */
const shown = (value) => format(value, value < 1000 ? 2 : 0)

const limitOf = ({ least, most }) => (most === undefined ? `>= ${shown(least)}` : `<= ${shown(most)}`)

/** The gates as rows of the table of docs/performance.md. A star: not in a quick run. */
export const promiseRows = (gates) =>
  gates.map((gate) => `| ${gate.name}${gate.slow ? " *" : ""} | ${limitOf(gate)} | ${shown(gate.aim)} |`)

/** The gates: the median with its interval, how many pairs it is of, limit, aim, floor and verdict. */
export const gateTable = (judged) =>
  layout([
    ["promise, in this run", "median", "95 %", "pairs", "limit", "aim", "floor", ""],
    ...judged.map(({ floor, gate, high, low, median, values, verdict }) => [
      gate.name,
      median === undefined ? "-" : shown(median),
      median === undefined ? "-" : `${shown(low)} to ${shown(high)}`,
      String(values.length),
      limitOf(gate),
      shown(gate.aim),
      floor === undefined ? "" : shown(floor),
      verdict
    ])
  ])

/** Two builds: the median of the ratios of the rounds, with its interval. */
export const pairedTable = (paired) =>
  layout([
    ["this build / another, paired", "figure", "median", "95 %", "pairs"],
    ...paired.map(({ figure, peer, ratios, test }) => {
      const { high, low, median } = interval(ratios)
      return [
        `${test} ${peer}`,
        columns[figure]?.[0] ?? figure,
        median.toFixed(3),
        `${low.toFixed(3)} to ${high.toFixed(3)}`,
        String(ratios.length)
      ]
    })
  ])
