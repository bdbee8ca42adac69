/** The figures as a picture: `node bench/chart.mjs [results.json] [chart.svg]`. `npm run bench` draws it anew. */
import { readFileSync, writeFileSync } from "node:fs"
import { pathToFileURL } from "node:url"
import { titles } from "./peers/registry.mjs"

const rows = ["net", "tls-aes128", "ms", "ms-nodelay", "ours", "ours-noise", "hyperswarm", "libp2p"]

const panels = [
  {
    test: "bulk64k",
    key: "cpuPerGib",
    title: "64 KiB writes",
    unit: "CPU seconds per GiB, both sides; less is better",
    digits: 1
  },
  { test: "bulk100", key: "messagesPerSecond", title: "100 B messages", unit: "per second; more is better", digits: 0 },
  { test: "ping", key: "p50", title: "Ping, 32 B", unit: "median microseconds; less is better", digits: 0 },
  { test: "dials", key: "perSecond", title: "Dials, one after another", unit: "per second; more is better", digits: 0 },
  {
    test: "dials64",
    key: "cpuMicros",
    title: "Dials, 64 at once",
    unit: "CPU microseconds each, both sides; less is better",
    digits: 0
  },
  {
    test: "idle1000",
    key: "kib",
    title: "Idle connections, 1,000",
    unit: "KiB each, both sides; less is better",
    digits: 0
  }
]

const columns = 2
const width = 960
const margin = 20
const panelWidth = (width - margin * (columns + 1)) / columns
const labelWidth = 180
const numberWidth = 90
const barHeight = 16
const step = 22
const headHeight = 48
const panelHeight = headHeight + rows.length * step + margin

const style = `
  text { font: 12px system-ui, sans-serif; fill: #24292f }
  .title { font-size: 15px; font-weight: 600 }
  .unit, .foot { fill: #57606a }
  .bar { fill: #afb8c1 } .own { fill: #0969da } .own-text { font-weight: 600 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .unit, .foot { fill: #8d96a0 } .bar { fill: #57606a } .own { fill: #4493f8 }
  }`

const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;")
const round = (value) => Math.round(value * 10) / 10

/** A bar that would leave the others invisible is cut, and says so. */
const scaleOf = (values) => {
  const [largest, second = largest] = values.toSorted((a, b) => b - a)
  return largest > 8 * second ? second * 1.5 : largest
}

const bar = (panel, scale, row, value, y) => {
  const own = row.startsWith("ours")
  const room = panelWidth - labelWidth - numberWidth
  const length = round(Math.max(1, Math.min(1, value / scale) * room))
  const number = value.toLocaleString("en-US", {
    maximumFractionDigits: panel.digits,
    minimumFractionDigits: panel.digits
  })
  const text = own ? ' class="own-text"' : ""
  return `<text x="0" y="${y + 12}"${text}>${escape(short[row] ?? titles[row])}</text>
<rect class="${own ? "own" : "bar"}" x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" rx="2"/>
<text x="${round(labelWidth + length + 6)}" y="${y + 12}"${text}>${number}${value > scale ? " (cut)" : ""}</text>`
}

const short = {
  "tls-aes128": "node:tls (AES-128)",
  ms: "multiserver shs",
  "ms-nodelay": "multiserver shs, nodelay",
  ours: "effect-multiserver shs",
  "ours-noise": "effect-multiserver noise",
  hyperswarm: "hyperswarm",
  libp2p: "libp2p tcp+noise"
}

const draw = (panel, median, i) => {
  const figures = median[panel.test] ?? {}
  const present = rows.filter((row) => figures[row] !== undefined)
  const scale = scaleOf(present.map((row) => figures[row][panel.key]))
  const x = round(margin + (i % columns) * (panelWidth + margin))
  const y = margin + Math.floor(i / columns) * panelHeight
  const bars = present.map((row, n) => bar(panel, scale, row, figures[row][panel.key], headHeight + n * step))
  return `<g transform="translate(${x} ${y})">
<text class="title" x="0" y="14">${panel.title}</text>
<text class="unit" x="0" y="32">${panel.unit}</text>
${bars.join("\n")}
</g>`
}

/** The chart of a run's results. */
export const chart = ({ cpu, date, median, node }) => {
  const shown = panels.filter(({ test }) => Object.keys(median[test] ?? {}).length > 0)
  const height = margin + Math.ceil(shown.length / columns) * panelHeight + margin
  const foot = `Node ${node}, ${cpu}, loopback, two processes, ${date.slice(0, 10)}. Made by npm run bench.`
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>effect-multiserver beside other peers</title>
<style>${style}
</style>
${shown.map((panel, i) => draw(panel, median, i)).join("\n")}
<text class="foot" x="${margin}" y="${height - 12}">${escape(foot)}</text>
</svg>
`
}

export const latest = new URL("results/latest.json", import.meta.url)
export const picture = new URL("../docs/performance.svg", import.meta.url)

export const writeChart = (results, to = picture) => writeFileSync(to, chart(results))

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [from = latest, to] = process.argv.slice(2)
  writeChart(JSON.parse(readFileSync(from, "utf8")), to)
}
