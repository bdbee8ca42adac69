/** The Node of processes that can't run on the lowest Node: the one that runs the tests, where it is late enough. */
import { fileURLToPath } from "node:url"
import { tooOld } from "../../src/cli/floor.ts"

/** The Node of the package's scripts. */
const ofScripts = fileURLToPath(new URL("../../node_modules/.bin/node", import.meta.url))

/** For TypeScript. */
export const readsTypes = Number.parseInt(process.versions.node, 10) >= 24 ? process.execPath : ofScripts

/** For the command. */
export const runsCommand = tooOld(process.versions.node) === undefined ? process.execPath : ofScripts
