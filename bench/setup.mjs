/** What a checkout needs before its first run: the peers of this folder. */
import { spawnSync } from "node:child_process"
import { existsSync, statSync } from "node:fs"
import { fileURLToPath } from "node:url"

const here = (name) => fileURLToPath(new URL(name, import.meta.url))

export const installPeers = () => {
  const installed = here("node_modules/.package-lock.json")
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(here("package-lock.json")).mtimeMs) return
  console.error("installing the peers into bench/node_modules")
  const { status } = spawnSync("npm", ["ci", "--prefix", here(".")], { stdio: ["ignore", "ignore", "inherit"] })
  if (status !== 0) throw new Error("npm ci --prefix bench failed")
}
