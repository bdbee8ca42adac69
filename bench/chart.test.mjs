/** The picture: what it says of where we stand, and that everything lies inside. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "vitest"
import { chart, latest, panels, standing, summary } from "./chart.mjs"

const panel = { test: "a", title: "A", key: "cost", unit: "s", rows: ["net", "ms-nodelay", "ours", "ours-noise"] }
const costs = (values) => ({ a: Object.fromEntries(Object.entries(values).map(([peer, cost]) => [peer, { cost }])) })

/** Figures for everything that the picture has, with bars of all lengths and numbers of all widths. */
const full = {
  cpu: "64 x A Processor With A Long Name (R) 1234 v5 @ 3.00GHz",
  date: "2026-01-01T00:00:00.000Z",
  node: "v24.21.0",
  median: panels.reduce((median, { key, rows, test }, n) => {
    median[test] ??= {}
    rows.forEach((row, i) => {
      median[test][row] = { ...median[test][row], [key]: 10 ** ((n + i) % 6) * 1.5 }
    })
    return median
  }, {})
}

describe("the place of ours", () => {
  it("is among those that encrypt, and behind whatever is better", () => {
    const { place, ranked } = standing(panel, costs({ net: 1, "ms-nodelay": 2, ours: 3, "ours-noise": 4 }))
    assert.strictEqual(place, 2)
    assert.deepStrictEqual(
      ranked.map(({ row }) => row),
      ["ms-nodelay", "ours", "ours-noise"]
    )
    assert.strictEqual(standing({ ...panel, more: true }, costs({ net: 9, "ms-nodelay": 2, ours: 3 })).place, 1)
  })

  it("is not told where there is nothing to compare", () => {
    assert.isUndefined(standing(panel, costs({ net: 1, ours: 3, "ours-noise": 2 })))
    assert.isUndefined(standing(panel, costs({ net: 1, "ms-nodelay": 3 })))
    assert.isUndefined(standing(panel, {}))
  })

  it("is in the summary, also where it is not the first", () => {
    const led = standing(panel, costs({ "ms-nodelay": 2, ours: 1 }))
    const behind = standing({ ...panel, title: "Ping" }, costs({ "ms-nodelay": 1, ours: 2 }))
    assert.match(summary([led, behind]), /first .* in 1 of 2\. It is behind in: ping\.$/)
  })
})

/** How wide a letter of 12 px is on the average, in a wide font and bold. */
const letter = 6.6
const boldLetter = 7.6

describe("the picture", () => {
  it("has everything inside, and nothing over something else in a line", () => {
    const svg = chart(full)
    const [, width, height] = svg.match(/viewBox="0 0 (\d+) (\d+)"/).map(Number)
    const groups = [...svg.matchAll(/<g transform="translate\((\S+) (\S+)\)">([\s\S]*?)<\/g>/g)]
    assert.strictEqual(groups.length, panels.length)
    const panelWidth = Number(groups[1][1]) - Number(groups[0][1]) - 20
    for (const [, x, y, body] of groups) {
      assert.isAtMost(Number(x) + panelWidth, width)
      for (const [, at, top, long] of body.matchAll(/<rect class="\w+" x="(\S+)" y="(\S+)" width="(\S+)"/g)) {
        assert.isAtMost(Number(at) + Number(long), panelWidth + 0.1)
        assert.isBelow(Number(y) + Number(top), height - 60)
      }
      const texts = body.matchAll(/<text x="(\d\S*)" y="(\S+)"(?: class="(own-text|soft)")?>([^<]*)</g)
      for (const [, at, top, kind, text] of texts) {
        const isLabel = at === "0" && Number(top) > 44
        const long = text.length * (kind === "own-text" ? boldLetter : letter)
        assert.isAtMost(Number(at) + long, isLabel ? 92 : panelWidth, text)
      }
    }
    for (const [, at, text] of svg.matchAll(/<text class="soft" x="(20)" y="\S+">([^<]*)</g)) {
      assert.isAtMost(Number(at) + text.length * letter, width, text)
    }
  })

  it("is readable on any page: it has a page of its own in light and in dark", () => {
    const svg = chart(full)
    assert.match(svg, /<rect class="page" width="960"/)
    const [light, dark] = svg.match(/<style>([\s\S]*)<\/style>/)[1].split("@media (prefers-color-scheme: dark)")
    for (const style of [light, dark]) assert.match(style, /\.page \{ fill: #\w{6} \}/)
  })

  it("is drawn of the latest results", () => {
    const drawn = readFileSync(new URL("../docs/performance.svg", import.meta.url), "utf8")
    assert.strictEqual(drawn, chart(JSON.parse(readFileSync(latest, "utf8"))))
  })
})
