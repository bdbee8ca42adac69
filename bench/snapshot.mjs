/** The build as it is now, so that a run of ten minutes measures one build whatever happens to `dist` meanwhile. */
import { cpSync, existsSync, mkdirSync, rmSync } from "node:fs"
import { fileURLToPath } from "node:url"

const here = (name) => fileURLToPath(new URL(`../${name}`, import.meta.url))

/** Copies the build to where it finds the same dependencies. Gone with the process. */
export const snapshot = () => {
  if (!existsSync(here("dist/index.js"))) throw new Error("there is no build: npm run build")
  const copy = here(`node_modules/.cache/bench-${process.pid}`)
  mkdirSync(copy, { recursive: true })
  for (const part of ["package.json", "dist"]) cpSync(here(part), `${copy}/${part}`, { recursive: true })
  process.on("exit", () => rmSync(copy, { recursive: true, force: true }))
  process.on("SIGINT", () => process.exit(130))
  return copy
}
