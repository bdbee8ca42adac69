/**
 * The tests of the protocol vectors, as they run in Node, bundled for a page or a worker: with a small runner for
 * vitest, the vectors for the files that they read, and the primitives in JavaScript alone.
 */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as esbuild from "esbuild"

const root = fileURLToPath(new URL("../../..", import.meta.url))
const support = (name: string) => path.join(root, "test/browser/support", name)

/** The tests of everything in test/vectors. */
const tests = [
  ...["shs/ShsHandshake", "shs/BoxStream", "shs/scripts"],
  ...["xk/NoiseHandshake", "xk/NoiseProfile", "xk/NoiseFrames"]
]

const vectors = () =>
  fs
    .readdirSync(path.join(root, "test/vectors"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".json"))
    .map((name) => [name, fs.readFileSync(path.join(root, "test/vectors", name), "utf8")])

const inPlaceOf: Readonly<Record<string, string>> = {
  "@effect/vitest": support("runner.ts"),
  "node:crypto": support("nodeInPage.ts"),
  "node:fs": support("nodeInPage.ts"),
  "node:net": support("nodeInPage.ts"),
  "../support/primitives.ts": support("portable.ts")
}

const plugin: esbuild.Plugin = {
  name: "in a page",
  setup: (build) => {
    for (const [name, file] of Object.entries(inPlaceOf)) {
      build.onResolve({ filter: new RegExp(`^${name.replaceAll(".", "\\.")}$`) }, () => ({ path: file }))
    }
    build.onResolve({ filter: /^vectors$/ }, () => ({ path: "vectors", namespace: "vectors" }))
    build.onLoad({ filter: /./, namespace: "vectors" }, () => ({
      contents: JSON.stringify(Object.fromEntries(vectors())),
      loader: "json"
    }))
  }
}

export const vectorsBundle = () =>
  esbuild.build({
    stdin: {
      contents: tests.map((name) => `import ${JSON.stringify(path.join(root, `test/${name}.test.ts`))}`).join("\n"),
      resolveDir: root,
      sourcefile: "vectors.ts"
    },
    absWorkingDir: root,
    outfile: "/vectors.js",
    bundle: true,
    format: "iife",
    // package.json says that modules have no side effects. Those of tests have: they are the tests.
    ignoreAnnotations: true,
    tsconfigRaw: "{}",
    // Only what tests use of Node's globals: that the package uses none, test/browser/bundle.test.ts says.
    inject: [support("nodeInPage.ts")],
    define: { "import.meta.url": '"file:///test/support/vectors.ts"' },
    plugins: [plugin],
    write: false,
    logLevel: "error"
  })
