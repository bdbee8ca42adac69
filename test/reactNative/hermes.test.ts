/**
 * All vectors in the engine of React Native: the very tests that run in Node, bundled with `hermes/harness.ts` in the
 * place of Vitest, and run by the binary of Hermes 0.12. Newer ones are not on npm. That one knows no classes and no
 * `\p{}`, and loops share their variables in it, so Babel writes these in other words. Babel and Hermes take half a
 * minute of CPU time, so this is a part of `npm run test:long`.
 */
import { execFileSync } from "node:child_process"
import * as fs from "node:fs"
import { createRequire } from "node:module"
import * as path from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as esbuild from "esbuild"
import { missing } from "../support/vectorTests.ts"
import { folder, hermes, root, tools } from "./tools.ts"

const here = path.join(import.meta.dirname, "hermes")
const out = folder()
afterAll(() => fs.rmSync(out, { recursive: true, force: true }))

const vectors = fs
  .readdirSync(path.join(root, "test/vectors"), { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith(".json"))

/** What stands in the place of Node's modules. Any other throws when it is loaded. */
const standIns: Readonly<Record<string, string>> = {
  "node:fs": `
    ${vectors.map((name, i) => `import v${i} from "./test/vectors/${name}"`).join("\n")}
    const files = { ${vectors.map((name, i) => `${JSON.stringify(name)}: v${i}`).join(", ")} }
    export const readFileSync = (url) => files[String(url).split("/vectors/")[1]]`,
  "node:crypto": `
    import { sha256 } from "@noble/hashes/sha2.js"
    export const createHash = (name) => {
      const hash = { sha256 }[name].create()
      const self = {
        update: (bytes) => (hash.update(bytes), self),
        digest: (encoding) => {
          const bytes = Buffer.from(hash.digest())
          return encoding === undefined ? bytes : bytes.toString(encoding)
        }
      }
      return self
    }`,
  // Named by a module whose constants the tests read.
  "node:net": "export class Socket {}"
}

const forHermes: esbuild.Plugin = {
  name: "hermes",
  setup: (build) => {
    build.onResolve({ filter: /^@effect\/vitest$/ }, () => ({ path: path.join(here, "harness.ts") }))
    build.onResolve({ filter: /support\/primitives\.ts$/ }, () => ({ path: path.join(here, "primitives.ts") }))
    // package.json says that no module has side effects.
    build.onResolve({ filter: /(\.test\.ts|globals\.js)$/ }, ({ path: name, resolveDir }) => ({
      path: path.join(resolveDir, name),
      sideEffects: true
    }))
    build.onResolve({ filter: /^node:/ }, ({ path: name }) => ({ path: name, namespace: "stand-in" }))
    build.onLoad({ filter: /./, namespace: "stand-in" }, ({ path: name }) => ({
      resolveDir: root,
      contents: standIns[name] ?? `throw new Error("there is no ${name}")`
    }))
  }
}

const program = async (): Promise<string> => {
  const { outputFiles } = await esbuild.build({
    entryPoints: [path.join(here, "main.ts")],
    absWorkingDir: root,
    bundle: true,
    write: false,
    format: "iife",
    platform: "neutral",
    target: "es2015",
    supported: { bigint: true, "exponent-operator": true },
    loader: { ".json": "text" },
    define: { "import.meta.url": '"test/support/x"' },
    plugins: [forHermes],
    logLevel: "error"
  })
  const from = createRequire(path.join(tools ?? "", "package.json"))
  const { code } = from("@babel/core").transformSync(outputFiles[0]?.text, {
    babelrc: false,
    configFile: false,
    compact: true,
    plugins: [
      from.resolve("@babel/plugin-transform-classes"),
      from.resolve("@babel/plugin-transform-block-scoping"),
      [from.resolve("@babel/plugin-transform-unicode-property-regex"), { useUnicodeFlag: false }]
    ]
  })
  const file = path.join(out, "vectors.js")
  fs.writeFileSync(file, code)
  return file
}

describe.skipIf(hermes === undefined || process.env.HERMES !== "all")("under Hermes", () => {
  it("all vectors hold: of shs, its peers by script, the box stream, the Noise framework and noise", async () => {
    const said = execFileSync(hermes ?? "", ["-O", "-w", await program()], { encoding: "utf8", maxBuffer: 2 ** 26 })
    const lines = said
      .trim()
      .split("\n")
      // Effect logs what it is told to log.
      .filter((line) => line.startsWith("{"))
      .map((line): { readonly name?: string; readonly failure?: string; readonly done?: true } => JSON.parse(line))
    assert.deepStrictEqual(
      lines.filter(({ failure }) => failure !== undefined),
      []
    )
    assert.deepStrictEqual(lines.at(-1), { done: true })
    const names = lines.flatMap(({ name }) => name ?? [])
    // It seals 65,536 frames, which takes minutes here.
    assert.deepStrictEqual(missing(names, ["after 65,536 frames"]), [])
  })
})
