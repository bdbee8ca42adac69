/** The figures as a picture: `node bench/chart.mjs [results.json] [chart.svg]`. `npm run bench` draws it anew. */
import { readFileSync, writeFileSync } from "node:fs"
import { pathToFileURL } from "node:url"

const own = { ours: "net~shs", "ours-noise": "net~noise", "ours-ws": "ws~shs" }
/** Not encrypted: what is there to compare with, and not ranked. */
const plain = { net: "node:net", ws: "ws" }
const rivals = {
  "tls-aes128": "tls AES-128",
  "tls-chacha20": "tls ChaCha20",
  "tls-mutual": "tls mutual",
  "ms-nodelay": "multiserver",
  "ms-ws": "multiserver",
  hyperswarm: "hyperswarm",
  libp2p: "libp2p",
  multiserver: "multiserver"
}
const names = { ...own, ...plain, ...rivals }

const encrypted = ["net", "tls-aes128", "tls-chacha20", "ms-nodelay", "ours", "ours-noise", "hyperswarm", "libp2p"]
const dialing = ["net", "tls-mutual", "ms-nodelay", "ours", "ours-noise", "hyperswarm", "libp2p"]
const overWs = ["ws", "ms-ws", "ours-ws"]

const cpuPerGib = { key: "cpuPerGib", unit: "CPU s/GiB, both sides", digits: 1 }
const cpuPerDial = { key: "cpuMicros", unit: "CPU µs each, both sides", digits: 0 }

export const panels = [
  { test: "bulk64k", title: "Bulk, 64 KiB", ...cpuPerGib, rows: encrypted },
  { test: "echo", title: "Echo, 64 KiB", ...cpuPerGib, rows: encrypted },
  {
    test: "bulk100",
    title: "100 B messages",
    key: "messagesPerSecond",
    unit: "per second",
    more: true,
    rows: encrypted
  },
  { test: "ping", title: "Ping, 32 B", key: "p50", unit: "median µs", digits: 0, rows: encrypted },
  { test: "dials", title: "Dials in a row", ...cpuPerDial, rows: dialing },
  { test: "dials64", title: "64 dials at once", ...cpuPerDial, rows: dialing },
  { test: "bulk64k", title: "ws: bulk", ...cpuPerGib, rows: overWs },
  { test: "dials", title: "ws: dials in a row", ...cpuPerDial, rows: overWs },
  { test: "dials64", title: "ws: 64 dials at once", ...cpuPerDial, rows: overWs },
  {
    test: "idle1000",
    title: "ws: 1,000 idle",
    key: "heapKib",
    unit: "KiB of heap each, both sides",
    digits: 1,
    rows: overWs
  },
  {
    test: "idle5000",
    title: "5,000 idle",
    key: "kib",
    unit: "KiB each, both sides",
    digits: 1,
    rows: ["net", "ms-nodelay", "ours"]
  },
  {
    test: "decode",
    title: "Addresses decoded",
    key: "perCpuSecond",
    unit: "per second of a core",
    more: true,
    rows: ["multiserver", "ours"],
    names: { ours: "ours" }
  }
]

const columns = 3
const width = 960
const margin = 20
const panelWidth = (width - margin * (columns + 1)) / columns
const labelWidth = 92
const numberWidth = 72
const cutWidth = 36
const barHeight = 13
const step = 19
const titleHeight = 72
const headHeight = 44

const style = `
  .page { fill: #ffffff } text { font: 12px system-ui, sans-serif; fill: #24292f }
  .name { font-size: 18px; font-weight: 600 } .title { font-size: 14px; font-weight: 600 } .soft { fill: #57606a }
  .other { fill: #afb8c1 } .plain { fill: none; stroke: #afb8c1 } .own { fill: #0969da }
  .own-text { font-weight: 600; fill: #0969da } .first { fill: #0969da } .behind { fill: #bc4c00 }
  .first-text, .behind-text { font-size: 11px; font-weight: 600; fill: #ffffff; text-anchor: middle }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #9198a1 }
    .other { fill: #57606a } .plain { stroke: #57606a } .own { fill: #4493f8 }
    .own-text { fill: #4493f8 } .first { fill: #1f6feb } .behind { fill: #bc4c00 }
    .first-text, .behind-text { fill: #ffffff }
  }`

const escape = (text) => text.replace(/&/g, "&amp;").replace(/</g, "&lt;")
const round = (value) => Math.round(value * 10) / 10
const ordinal = (n) => `${n}${["th", "st", "nd", "rd"][n] ?? "th"}`

/** Two digits of a million say enough. */
const shown = (value, digits = 0) => {
  if (value >= 1e6) return `${(value / 1e6).toFixed(1)} M`
  const fraction = value < 1000 ? digits : 0
  return value.toLocaleString("en-US", { maximumFractionDigits: fraction, minimumFractionDigits: fraction })
}

/**
 * A panel with the rows that were measured: those not encrypted, then the others from the best to the worst, and the
 * place of ours among these. `undefined` where there is nothing to compare.
 */
export const standing = (panel, median) => {
  const figures = median[panel.test] ?? {}
  const rows = panel.rows
    .filter((row) => figures[row]?.[panel.key] !== undefined)
    .map((row) => ({ row, value: figures[row][panel.key] }))
  const ranked = rows
    .filter(({ row }) => plain[row] === undefined)
    .toSorted((a, b) => (panel.more ? b.value - a.value : a.value - b.value))
  const place = ranked.findIndex(({ row }) => own[row] !== undefined) + 1
  if (place === 0 || ranked.every(({ row }) => own[row] !== undefined)) return undefined
  return { panel, rows: [...rows.filter(({ row }) => plain[row] !== undefined), ...ranked], ranked, place }
}

/** A bar that would leave the others invisible is cut, and says so. The others are shorter than it then. */
const scaleOf = (values) => {
  const [largest, second = largest] = values.toSorted((a, b) => b - a)
  return largest > 6 * second ? second * 1.5 : largest
}

const bar = ({ row, value }, { digits, names: otherNames = {} }, scale, y) => {
  const room = panelWidth - labelWidth - numberWidth
  const isCut = value > scale
  const length = round(isCut ? room - cutWidth : Math.max(1, (value / scale) * room))
  const kind = own[row] !== undefined ? "own" : plain[row] !== undefined ? "plain" : "other"
  const text = kind === "own" ? ' class="own-text"' : kind === "plain" ? ' class="soft"' : ""
  const number = `${shown(value, digits)}${isCut ? " (cut)" : ""}`
  return `<text x="0" y="${y + 11}"${text}>${otherNames[row] ?? names[row]}</text>
<rect class="${kind}" x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" rx="2"/>
<text x="${round(labelWidth + length + 6)}" y="${y + 11}"${text}>${number}</text>`
}

const badgeWidth = 62

const draw = ({ panel, place, ranked, rows }, x, y) => {
  const scale = scaleOf(rows.map(({ value }) => value))
  const kind = place === 1 ? "first" : "behind"
  return `<g transform="translate(${round(x)} ${y})">
<text class="title" x="0" y="14">${panel.title}</text>
<rect class="${kind}" x="${round(panelWidth - badgeWidth)}" y="1" width="${badgeWidth}" height="17" rx="8"/>
<text class="${kind}-text" x="${round(panelWidth - badgeWidth / 2)}" y="13">${ordinal(place)} of ${ranked.length}</text>
<text class="soft" x="0" y="31">${panel.unit}; ${panel.more ? "more" : "less"} is better</text>
${rows.map((row, n) => bar(row, panel, scale, headHeight + n * step)).join("\n")}
</g>`
}

const heightOf = ({ rows }) => headHeight + rows.length * step + margin

/** The panels of one line beside each other, each line as high as its highest. */
const layout = (shown) => {
  let y = titleHeight
  const drawn = []
  for (let first = 0; first < shown.length; first += columns) {
    const line = shown.slice(first, first + columns)
    drawn.push(...line.map((each, i) => draw(each, margin + i * (panelWidth + margin), y)))
    y += Math.max(...line.map(heightOf))
  }
  return { drawn, bottom: y }
}

/** In a sentence where we stand. */
export const summary = (shown) => {
  const behind = shown.filter(({ place }) => place > 1)
  const led = `effect-multiserver is the first of those that encrypt in ${shown.length - behind.length} of ${shown.length}.`
  if (behind.length === 0) return led
  return `${led} It is behind in: ${behind.map(({ panel }) => panel.title.toLowerCase()).join(", ")}.`
}

/** The chart of a run's results. */
export const chart = ({ cpu, date, median, node }) => {
  const shown = panels.flatMap((panel) => standing(panel, median) ?? [])
  const { bottom, drawn } = layout(shown)
  const height = bottom + 2 * margin
  const foot = [
    `Medians of one run of npm run bench: Node ${node}, ${cpu}, ${date.slice(0, 10)}.`,
    "Loopback, two processes. TCP_NODELAY is forced on multiserver's net~shs."
  ]
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>effect-multiserver beside its peers</title>
<desc>${summary(shown)}</desc>
<style>${style}
</style>
<rect class="page" width="${width}" height="${height}" rx="8"/>
<text class="name" x="${margin}" y="32">${summary(shown).split(". ")[0].replace(/\.$/, "")}</text>
<text class="soft" x="${margin}" y="52">Blue is ours. Outlined bars are not encrypted, and not ranked.</text>
${drawn.join("\n")}
${foot.map((line, i) => `<text class="soft" x="${margin}" y="${height - 32 + 18 * i}">${escape(line)}</text>`).join("\n")}
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
