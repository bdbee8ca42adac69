import { execFileSync } from "node:child_process"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"

/** What Node has loaded of itself once a program has run. */
const loaded = (program: string): string =>
  execFileSync(
    process.execPath,
    ["--input-type=module", "-e", `${program}; console.log(process.moduleLoadList.join())`],
    {
      encoding: "utf8"
    }
  )

describe("effect-multiserver/node", () => {
  it("loads Node's http without undici, which an import of it would load", () => {
    const door = loaded(`import ${JSON.stringify(fileURLToPath(new URL("../../dist/node.js", import.meta.url)))}`)
    assert.match(door, /NativeModule http\b/)
    assert.notMatch(door, /undici/)
  })
})
