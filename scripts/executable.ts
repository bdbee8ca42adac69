/** tsc writes no modes: the command has to be executable for `npx multiserver` in a checkout. */
import * as fs from "node:fs"

fs.chmodSync(new URL("../dist/cli/main.js", import.meta.url), 0o755)
