/** Each block of code on these pages is an example, or a part of one, or is run by a test. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as door from "../../src/node.ts"
import { blocksOf, read, shown } from "./page.ts"

const pages = [
  "docs/start.md",
  "docs/rpc.md",
  "docs/cluster.md",
  "docs/deploying.md",
  "docs/migrating.md",
  "docs/serving-pages.md",
  "docs/lookup.md",
  "docs/observability.md"
]

/** The tests that run blocks. */
const tests = fs
  .readdirSync(new URL("./", import.meta.url))
  .filter((file) => file.endsWith(".test.ts"))
  .map((file) => read(`test/pages/${file}`))

describe.each(pages)("%s", (page) => {
  it("shows code that runs with the tests", () => {
    const blocks = blocksOf(page)
    assert.isNotEmpty(blocks)
    assert.strictEqual(read(page).split("```").length - 1, 2 * blocks.length)
    for (const { language, name, text } of blocks) {
      if (language === "ts") assert.strictEqual(text, shown(name), name)
      else
        assert.isTrue(name !== "" && tests.some((test) => test.includes(`"${name}"`)), `no test runs ${name}: ${text}`)
    }
  })

  it("names what there is", () => {
    const named = [...read(page).matchAll(/`([A-Z]\w+)\.(\w+)/g)].filter(([, module = ""]) => module in door)
    const missing = named.filter(([, module = "", member = ""]) => !(member in Object(Reflect.get(door, module))))
    assert.deepStrictEqual(
      missing.map(([name]) => name),
      []
    )
  })

  it("is linked by README", () => {
    assert.include(read("README.md"), `](${page})`)
  })
})
