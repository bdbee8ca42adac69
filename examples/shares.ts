/** The share of each protocol over time: as lines for a terminal, and as a picture. */

/** How many connections each protocol had in one step. */
export interface Step {
  readonly label: string
  readonly counts: Readonly<Record<string, number>>
}

/** The protocols from the oldest to the newest: what stands for each in a terminal, and its colours. */
const protocols = [
  { name: "shs", block: "░", light: "#bc4c00", dark: "#db6d28" },
  { name: "noise", block: "▒", light: "#0969da", dark: "#4493f8" },
  { name: "noisepq", block: "█", light: "#1a7f37", dark: "#3fb950" }
] as const

const total = ({ counts }: Step): number => Object.values(counts).reduce((sum, count) => sum + count, 0)

const share = (step: Step, name: string): number => (step.counts[name] ?? 0) / Math.max(1, total(step))

export const legend = protocols.map(({ block, name }) => `${block} ${name}`).join("   ")

/** One step as a bar of forty characters. */
export const line = (step: Step): string => {
  let used = 0
  let sum = 0
  const bar = protocols.map(({ block, name }) => {
    sum += share(step, name)
    const until = Math.round(sum * 40)
    const part = block.repeat(until - used)
    used = until
    return part
  })
  return `${step.label.padEnd(14)}${bar.join("")}`
}

const width = 960
const height = 360
const plot = { left: 56, top: 92, right: 24, bottom: 56 }

/** All steps as an SVG, for pages that are light or dark. */
export const svg = (steps: ReadonlyArray<Step>, title: string): string => {
  const step = (width - plot.left - plot.right) / steps.length
  const high = height - plot.top - plot.bottom
  const bars = steps.flatMap((each, i) => {
    let sum = 0
    return protocols.map(({ name }) => {
      const part = share(each, name)
      const y = plot.top + high * (1 - sum - part)
      sum += part
      const x = plot.left + i * step + 1
      return `<rect class="${name}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${(step - 2).toFixed(1)}" height="${(high * part).toFixed(1)}"><title>${each.label}: ${name} ${Math.round(part * 100)} %</title></rect>`
    })
  })
  const labels = steps.map(({ label }, i) => {
    const x = plot.left + (i + 0.5) * step
    return `<text class="soft tick" x="${x.toFixed(1)}" y="${height - plot.bottom + 18}">${label.split(" ")[0]}</text>`
  })
  const percent = [0, 50, 100].map((value) => {
    const y = plot.top + high * (1 - value / 100)
    return `<text class="soft" x="${plot.left - 8}" y="${y + 4}" text-anchor="end">${value} %</text>`
  })
  const keys = protocols.map(({ name }, i) => {
    const x = plot.left + i * 110
    return `<rect class="${name}" x="${x}" y="62" width="14" height="14" rx="2"/><text x="${x + 20}" y="74">${name}</text>`
  })
  const colours = (theme: "light" | "dark") =>
    protocols.map((each) => `.${each.name} { fill: ${each[theme]} }`).join(" ")
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">
<title>${title}</title>
<style>
  .page { fill: #ffffff } text { font: 12px system-ui, sans-serif; fill: #24292f } .soft { fill: #57606a }
  .name { font-size: 18px; font-weight: 600 } .tick { text-anchor: middle; font-size: 11px }
  ${colours("light")}
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117 } text { fill: #e6edf3 } .soft { fill: #9198a1 }
    ${colours("dark")}
  }
</style>
<rect class="page" width="${width}" height="${height}" rx="8"/>
<text class="name" x="${plot.left}" y="32">${title}</text>
<text class="soft" x="${plot.left}" y="50">Each bar: the connections after one more peer was updated. Ten peers, twice: to version 2, then to version 3.</text>
${[...keys, ...percent, ...bars, ...labels].join("\n")}
<text class="soft" x="${plot.left}" y="${height - 14}">version 1 speaks shs; version 2 shs and noise; version 3 noise and noisepq</text>
</svg>
`
}
