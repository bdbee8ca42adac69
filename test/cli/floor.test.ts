/** The lowest Node that the command runs on. */
import { createRequire } from "node:module"
import { assert, describe, it } from "@effect/vitest"
import { tooOld } from "../../src/cli/floor.ts"

const platform = createRequire(import.meta.url)("@effect/platform-node/package.json")

describe("the command", () => {
  it("runs where @effect/platform-node does, and says on any older Node what it needs", () => {
    const lowest = String(platform.engines.node).replace(/^>=/, "")
    for (const version of [lowest, "22.20.1", "24.0.0", "26.3.0"]) assert.isUndefined(tooOld(version), version)
    for (const version of ["20.19.0", "22.18.9", "18.0.0"]) {
      assert.strictEqual(
        tooOld(version),
        `multiserver: the command needs Node 22.19 or later, because @effect/platform-node does. This is Node ${version}.`
      )
    }
  })
})
