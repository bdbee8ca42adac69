/** The configuration of the real run, for the fixture alone. */
import { defineConfig } from "vitest/config"
import config from "../../vitest.config.ts"

export default defineConfig({ ...config, test: { ...config.test, include: ["test/secrets/leaks.fixture.ts"] } })
