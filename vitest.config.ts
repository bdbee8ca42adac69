import { fileURLToPath } from "node:url"
import { defineConfig } from "vitest/config"

export default defineConfig({
  // Examples import the package by its name: here that is the source, so that a test has one copy of each module.
  resolve: {
    alias: { "effect-multiserver/node": fileURLToPath(new URL("src/node.ts", import.meta.url)) }
  },
  test: {
    include: ["test/**/*.test.ts"],
    testTimeout: 20_000,
    hookTimeout: 30_000,
    // What a run says is searched for the secrets that it uses.
    globalSetup: ["test/secrets/globalSetup.ts"],
    setupFiles: ["test/secrets/setup.ts"]
  }
})
