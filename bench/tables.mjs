/** The figures as text. */
import { median } from "./measure.mjs"
import { titles } from "./peers/registry.mjs"

const columns = {
  mbPerSecond: ["MB/s", 0],
  messagesPerSecond: ["messages/s", 0],
  cpuPerGib: ["CPU s/GiB", 2],
  clientCpuPerGib: ["client", 2],
  serverCpuPerGib: ["server", 2],
  p50: ["p50 us", 1],
  p99: ["p99 us", 0],
  perSecond: ["dials/s", 0],
  cpuMicros: ["CPU us/dial", 0],
  clientCpuMicros: ["client", 0],
  serverCpuMicros: ["server", 0],
  kib: ["KiB/connection", 1],
  clientKib: ["client", 1],
  serverKib: ["server", 1],
  primitivesMicros: ["primitives us", 0],
  machineMicros: ["ours us", 0],
  perCpuSecond: ["addresses/s", 0],
  milliseconds: ["ms", 1],
  peakMib: ["peak MiB", 1],
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

/** The gates: value, limit, aim, floor, verdict. */
export const gateTable = (judged) =>
  layout([
    ["ratio, in this run", "value", "limit", "aim", "floor", ""],
    ...judged.map(({ floor, gate, value, verdict }) => [
      gate.name,
      value === undefined ? "-" : value.toFixed(2),
      gate.most === undefined ? `>= ${gate.least}` : `<= ${gate.most}`,
      String(gate.aim),
      floor === undefined ? "" : floor.toFixed(2),
      verdict
    ])
  ])

/** Two builds: the median of the ratios of each pair of neighbouring cells, and how far apart these are. */
export const pairedTable = (paired) =>
  layout([
    ["this build / another, paired", "figure", "median", "least", "most", "pairs"],
    ...paired.map(({ figure, peer, ratios, test }) => [
      `${test} ${peer}`,
      columns[figure]?.[0] ?? figure,
      ...[median(ratios), Math.min(...ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(3)),
      String(ratios.length)
    ])
  ])
