/** What npm would publish, looked at by publint and by attw: whether what it exports is found, with its types. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "package-"))
process.on("exit", () => fs.rmSync(folder, { recursive: true, force: true }))

/** Says nothing unless it fails. */
const run = (command: string, args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync(command, args, { cwd: root, encoding: "utf8" })
  if (error === undefined && status === 0) return stdout
  console.error(`${command} ${args.join(" ")}\n${stdout ?? ""}${stderr ?? ""}${error ?? ""}`)
  process.exit(1)
}

// What was built of an older source has other files.
run("npm", ["run", "-s", "build"])
run("npm", ["pack", "--ignore-scripts", "--pack-destination", folder])
const [tarball = ""] = fs.readdirSync(folder)
const file = path.join(folder, tarball)
run("npx", ["--no-install", "publint", "--strict", file])
// It is for ES modules alone: Node 20.19 and later can require them too.
run("npx", ["--no-install", "attw", file, "--profile", "esm-only"])
