/** The Node of processes that read TypeScript: the one that runs the tests, where it is late enough. */
import { fileURLToPath } from "node:url"

/** The Node of the package's scripts. */
const ofScripts = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url))

export const readsTypes = Number.parseInt(process.versions.node, 10) >= 24 ? process.execPath : ofScripts
