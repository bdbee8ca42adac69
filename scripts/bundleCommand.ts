/**
 * Makes the command, `dist/cli/`: a few files, with the modules of Effect that it uses in them. To load them one by one
 * takes three times as long as what a short command does. What touches the network or keys stays a dependency, which
 * `npm audit` sees and `npm update` replaces.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { build } from "vite"
import manifest from "../package.json" with { type: "json" }

const root = fileURLToPath(new URL("..", import.meta.url))
const folder = path.join(root, "dist/cli")

const built = await build({
  configFile: false,
  root,
  logLevel: "warn",
  ssr: { noExternal: true, external: Object.keys(manifest.dependencies) },
  build: {
    ssr: true,
    target: "node20",
    outDir: folder,
    emptyOutDir: true,
    sourcemap: true,
    rolldownOptions: {
      input: { main: path.join(root, "src/cli/main.ts") },
      output: {
        entryFileNames: "[name].js",
        chunkFileNames: "[name]-[hash].js",
        sourcemapExcludeSources: true,
        // Less to compile at each start. The names stay, for whoever reads a stack trace.
        minify: { compress: true, mangle: false, codegen: { removeWhitespace: true } }
      }
    }
  }
})

// -----------------------------------------------------------------------------
// licences
// -----------------------------------------------------------------------------

/** The folder of the package that a module is of; `undefined` for our own. */
const packageOf = (module: string): string | undefined =>
  /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+(?=\/)/.exec(module.split("?")[0] ?? "")?.[0]

const outputs = Array.isArray(built) ? built : [built]
const modules = outputs.flatMap((each) =>
  "output" in each ? each.output.flatMap((file) => (file.type === "chunk" ? file.moduleIds : [])) : []
)
const packages = [...new Set(modules.flatMap((module) => packageOf(module) ?? []))].sort()

/** Its name, version, and the text of its licence, which has to go with it. */
const licenceOf = (folder: string): string => {
  const { license, name, version } = JSON.parse(fs.readFileSync(path.join(folder, "package.json"), "utf8"))
  const file = fs.readdirSync(folder).find((each) => /^licen[cs]e/i.test(each))
  if (file === undefined) throw new Error(`${name} has no licence to go with the command`)
  return `# ${name} ${version} (${license})\n\n${fs.readFileSync(path.join(folder, file), "utf8").trim()}\n`
}

fs.writeFileSync(path.join(folder, "LICENCES.md"), packages.map(licenceOf).join("\n"))

// Bundlers write no modes: `npx multiserver` in a checkout needs this one.
fs.chmodSync(path.join(folder, "main.js"), 0o755)
