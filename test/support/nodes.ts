/** What the Node that runs the tests can do, which may be the lowest. */
import { createRequire } from "node:module"
import { fileURLToPath } from "node:url"

/** The Node of the package's scripts. */
const ofScripts = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url))

/** The Node of processes that read TypeScript: the one that runs the tests, where it is late enough. */
export const readsTypes = Number.parseInt(process.versions.node, 10) >= 24 ? process.execPath : ofScripts

const { engines } = createRequire(import.meta.url)("@effect/platform-node/package.json")
const [major = 0, minor = 0] = /(\d+)\.(\d+)/.exec(engines.node)?.slice(1).map(Number) ?? []
const [ownMajor = 0, ownMinor = 0] = process.versions.node.split(".").map(Number)

/** Whether it is late enough for all of `@effect/platform-node`. */
export const hasPlatform = ownMajor > major || (ownMajor === major && ownMinor >= minor)
