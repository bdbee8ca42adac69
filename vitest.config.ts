import { availableParallelism } from "node:os"
import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"
import { BaseSequencer, type TestSpecification } from "vitest/node"
import "./test/support/groupBy.ts"

const source = (file: string): string => fileURLToPath(new URL(`src/${file}`, import.meta.url))

/** Files that mostly wait, or have most to do. They begin first, so that nobody waits for one of them at the end. */
const longest = ["compliance", "browser/browsers", "hostile/hostile", "chaos", "consumers", "onion/tor", "discard"]

class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const at = longest.findIndex((name) => moduleId.endsWith(`test/${name}.test.ts`))
      return at === -1 ? longest.length : at
    }
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b))
  }
}

export default defineConfig({
  // Examples import the package by its name: here that is the source, so that a test has one copy of each module.
  resolve: {
    alias: [
      { find: /^effect-multiserver$/, replacement: source("index.ts") },
      { find: "effect-multiserver/node", replacement: source("node.ts") },
      { find: "effect-multiserver/browser", replacement: source("browser.ts") },
      { find: "effect-multiserver/cluster", replacement: source("cluster.ts") },
      { find: "effect-multiserver/hyperdht", replacement: source("hyperdht.ts") },
      { find: "effect-multiserver/rpc", replacement: source("rpc.ts") },
      { find: "effect-multiserver/testing", replacement: source("testing/index.ts") }
    ]
  },
  test: {
    include: ["test/**/*.test.ts", "examples/**/*.test.ts", "bench/*.test.mjs"],
    // A process runs one file after another: to start it and to load Effect costs more than the tests of many a file.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // Many tests wait for processes of theirs, so that two files more than there are cores keep these busy.
    maxWorkers: availableParallelism() + 2,
    // Bounds for what hangs. Nothing is decided by them on a machine that is busy with something else.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    teardownTimeout: 120_000,
    // What a run says is searched for the secrets that it uses.
    globalSetup: ["test/secrets/globalSetup.ts"],
    setupFiles: ["test/secrets/setup.ts", "test/long/hacksOff.ts"]
  }
})
