/** What React Native bundles, compiles and runs with. `scripts/install-react-native.sh` installs it; no test does. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

/** The folder of the tools. `undefined` where they can't be had: the script has said so. */
export const tools = ((): string | undefined => {
  const { stderr, stdout } = spawnSync("bash", [path.join(root, "scripts/install-react-native.sh"), "--look"], {
    encoding: "utf8"
  })
  process.stderr.write(stderr)
  return stdout.trim() || undefined
})()

const system = { linux: "linux64-bin", darwin: "osx-bin", win32: "win64-bin" }[process.platform as string]

/** The binary of a package of Hermes, if it has one that runs here: npm has those of Linux for x64 alone. */
const binaryOf = (folder: string, name: string): string | undefined => {
  if (tools === undefined) return undefined
  const binary = path.join(tools, "node_modules", folder, system ?? "", name)
  return spawnSync(binary, ["--version"]).status === 0 ? binary : undefined
}

const untested = <A>(what: string, found: A | undefined): A | undefined => {
  if (found === undefined && tools !== undefined)
    process.stderr.write(`\n*** ${what} does not run here: it is NOT TESTED.\n\n`)
  return found
}

/** Compiles for the Hermes of today's React Native. */
export const hermesc = untested("hermesc", binaryOf("hermes-compiler/hermesc", "hermesc"))
/** Runs programs: Hermes 0.12. */
export const hermes = untested("Hermes", binaryOf("hermes-engine-cli", "hermes"))

/** A new folder in a place that Metro looks at: it looks at none whose name begins with a dot. */
export const folder = (): string => fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "react-native-")))
