/** The configuration of the tests in browsers, which `browsers.test.ts` runs. */
import { defineConfig } from "vitest/config"
import config from "../../vitest.config.ts"

export default defineConfig({
  ...config,
  test: {
    ...config.test,
    include: ["test/browser/*.browser.ts"],
    // One browser for all, and one page at a time, so that what one takes is known.
    maxWorkers: 1,
    globalSetup: ["test/browser/support/globalSetup.ts"],
    setupFiles: []
  }
})
