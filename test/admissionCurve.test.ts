/** How many of the honest a flood costs, in virtual time: the table of docs/limits.md, which this makes and holds. */
import * as fs from "node:fs"
import { assert, describe, it } from "vitest"
import { failures } from "./support/newcomers.ts"

const honest = "203.0.113.1"

const many = (name: (i: number) => string) => Array.from({ length: 250 }, (_, i) => name(i))

/** Where a flood comes from, as the head of the table says. */
const floods = [
  ["one other source", ["198.51.100.1"]],
  ["250 of its own /24", many((i) => `203.0.113.${i + 2}`)],
  ["250, each of another /16", many((i) => `${i % 2 === 0 ? 5 : 6}.${i}.0.1`)],
  ["its own source", [honest]]
] as const

const rates = [50, 150, 500, 1500]

const percent = (share: number): string => (share === 0 ? "0" : share < 0.1 ? "0.1" : share.toFixed(share < 10 ? 1 : 0))

const rows: ReadonlyArray<string> = [false, true].flatMap((answered) =>
  rates.map((rate) => {
    const cells = floods.map(([, sources]) =>
      [50, 500].map((pause) => percent(failures({ rate, answered, sources }, { source: honest, pause }))).join(" / ")
    )
    return `| ${answered ? "answered" : "silent"}, ${rate} a second | ${cells.join(" | ")} |`
  })
)

const table = [
  `| newcomers | ${floods.map(([name]) => name).join(" | ")} |`,
  `|${" --- |".repeat(floods.length + 1)}`,
  ...rows
].join("\n")

describe("what a flood costs the honest", () => {
  it("is what docs/limits.md says", () => {
    const document = fs.readFileSync(new URL("../docs/limits.md", import.meta.url), "utf8")
    assert.include(document, table, `the table is now\n${table}`)
  })

  it.each(rates)(
    "who has a source of its own fails at most 1 time in 100 at %d a second, silent or answered",
    (rate) => {
      for (const [name, sources] of floods.slice(0, 3)) {
        for (const answered of [false, true]) {
          assert.isAtMost(
            failures({ rate, answered, sources }, { source: honest, pause: 50 }),
            1,
            `${name}, ${answered}`
          )
        }
      }
    }
  )

  it.each([50, 150])("who shares its source with the flood fails at most 1 time in 10 at %d a second", (rate) => {
    for (const answered of [false, true]) {
      assert.isAtMost(failures({ rate, answered, sources: [honest] }, { source: honest, pause: 50 }), 10)
    }
  })
})
