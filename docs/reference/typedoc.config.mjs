/** One page for each module that package.json exports. */
import { readFileSync } from "node:fs"
import { fileURLToPath } from "node:url"

const root = new URL("../../", import.meta.url)
const { exports } = JSON.parse(readFileSync(new URL("package.json", root), "utf8"))

/** The doors only gather what these modules have. */
const doors = new Set([".", "./node", "./browser", "./cluster", "./hyperdht", "./testing", "./package.json"])

const modules = Object.entries(exports)
  .filter(([name]) => !doors.has(name))
  .map(([, target]) => (typeof target === "string" ? target : target.default))
  .map((target) => target.replace("./dist/", "src/").replace(/\.js$/, ".ts"))

const inRoot = (path) => fileURLToPath(new URL(path, root))

export default {
  name: "effect-multiserver",
  entryPoints: [...modules, "src/testing/Chaos.ts", "src/testing/Compliance.ts"].map(inRoot),
  tsconfig: inRoot("tsconfig.json"),
  plugin: ["typedoc-plugin-markdown", fileURLToPath(new URL("modules.mjs", import.meta.url))],
  out: inRoot("docs/api"),
  readme: "none",
  disableSources: true,
  excludeInternal: true,
  excludePrivate: true,
  excludeExternals: true,
  blockTags: ["@category", "@since", "@example", "@deprecated", "@see", "@param", "@returns"],
  validation: { notExported: false, invalidLink: true, notDocumented: false },
  treatValidationWarningsAsErrors: true
}
