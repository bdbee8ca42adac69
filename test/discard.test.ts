/**
 * A protocol can be discarded without a trace: its folder goes, and its lines in six files. What is left compiles, and
 * the bundle of it has nothing of the protocol.
 */
import { execFile } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath, pathToFileURL } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Result from "effect/Result"
import { build } from "vite"

const root = fileURLToPath(new URL("..", import.meta.url))

/** The list of sections, the door, the ready-made layers, and the layers and names of the command. */
const files = [
  "address/sections.ts",
  "index.ts",
  "NodeMultiserver.ts",
  "BrowserMultiserver.ts",
  "cli/stacks.ts",
  "cli/spoken.ts"
]

/** Takes the protocol out of lists that are written on one line, then drops the lines that still name it. */
const without = (protocol: string, text: string): string => {
  const named = new RegExp(`\\b${protocol}\\b`, "i")
  return text
    .replaceAll(`"${protocol}", `, "")
    .replaceAll(`, "${protocol}"`, "")
    .split("\n")
    .filter((line) => !named.test(line))
    .join("\n")
}

/** A copy of the source in a folder of one where the project's packages are found. */
const copyTo = (folder: string): void => {
  for (const name of ["src", "package.json"]) {
    fs.cpSync(path.join(root, name), path.join(folder, name), { recursive: true })
  }
}

const discard = (protocol: string, folder: string): void => {
  fs.rmSync(path.join(folder, "src", protocol), { recursive: true })
  for (const name of files) {
    const file = path.join(folder, "src", name)
    const before = fs.readFileSync(file, "utf8")
    const after = without(protocol, before)
    assert.notStrictEqual(after, before, `${name} does not name ${protocol}`)
    fs.writeFileSync(file, after)
  }
}

/** What the compiler says of all copies. It reads the types of Effect once, and does nothing twice on one thread. */
const compile = (folder: string): Promise<string> =>
  promisify(execFile)(
    process.execPath,
    [path.join(root, "node_modules/typescript/bin/tsc"), "--noEmit", "--singleThreaded", "--project", folder],
    { cwd: folder }
  ).then(
    ({ stdout }) => stdout,
    ({ stdout }) => stdout
  )

/** Comments may name any protocol as an example. */
const withoutComments = (code: string): string =>
  code.replaceAll(/^\s*\/\*\*[\s\S]*?\*\/$/gm, "").replaceAll(/^\s*\/\/.*$/gm, "")

/** The doors and the command in one folder, without the packages that they import. */
const bundle = async (folder: string): Promise<{ readonly code: string; readonly modules: ReadonlyArray<string> }> => {
  const src = path.join(folder, "src")
  const output = await build({
    root: folder,
    configFile: false,
    logLevel: "silent",
    build: {
      ssr: true,
      outDir: "dist",
      minify: false,
      rollupOptions: {
        input: {
          node: `${src}/node.ts`,
          browser: `${src}/browser.ts`,
          testing: `${src}/testing/index.ts`,
          cli: `${src}/cli/main.ts`
        },
        external: (name) => !name.startsWith(".") && !path.isAbsolute(name)
      }
    }
  })
  if (Array.isArray(output) || !("output" in output)) return assert.fail("one build")
  const chunks = output.output.flatMap((each) => (each.type === "chunk" ? [each] : []))
  return {
    code: withoutComments(chunks.map(({ code }) => code).join("\n")),
    modules: chunks.flatMap(({ modules }) => Object.keys(modules)).map((file) => path.relative(src, file))
  }
}

/** The source files of a protocol. */
const filesOf = (protocol: string): ReadonlyArray<string> => fs.readdirSync(path.join(root, "src", protocol))

/** Its name as a literal. */
const literal = (protocol: string): RegExp => new RegExp(`["'\`]${protocol}["'\`]`)

/** The names of its modules, but for `section`, which each protocol has. */
const moduleNames = (protocol: string): ReadonlyArray<RegExp> =>
  filesOf(protocol)
    .filter((file) => file !== "section.ts")
    .map((file) => new RegExp(`\\b${path.basename(file, ".ts")}\\b`))

const minute = 60_000

const protocols = ["shs", "noise", "noisepq"]

describe("without a trace", () => {
  const folder = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), "discard-")))
  const of = (name: string): string => path.join(folder, name)
  let whole: Awaited<ReturnType<typeof bundle>>
  let complaints = ""
  beforeAll(async () => {
    fs.symlinkSync(path.join(root, "node_modules"), of("node_modules"))
    fs.copyFileSync(path.join(root, "tsconfig.json"), of("tsconfig.project.json"))
    const include = protocols.map((protocol) => `${protocol}/src`)
    fs.writeFileSync(of("tsconfig.json"), JSON.stringify({ extends: "./tsconfig.project.json", include }))
    for (const name of ["whole", ...protocols]) copyTo(of(name))
    for (const protocol of protocols) discard(protocol, of(protocol))
    whole = await bundle(of("whole"))
    complaints = await compile(folder)
  }, 5 * minute)
  afterAll(() => fs.rmSync(folder, { recursive: true }))

  it("what is left compiles", () => {
    assert.strictEqual(complaints, "")
  })

  it.each(protocols)(
    "%s can be discarded",
    async (protocol) => {
      const { code, modules } = await bundle(of(protocol))
      const own = (all: ReadonlyArray<string>) => all.filter((file) => file.startsWith(`${protocol}/`))
      assert.sameMembers(
        own(whole.modules),
        filesOf(protocol).map((file) => `${protocol}/${file}`)
      )
      assert.deepStrictEqual(own(modules), [])
      assert.match(whole.code, literal(protocol))
      for (const trace of [literal(protocol), ...moduleNames(protocol)]) assert.notMatch(code, trace)

      const left: typeof import("../src/node.ts") = await import(pathToFileURL(of(`${protocol}/dist/node.js`)).href)
      const { Address, NodeMultiserver } = left
      assert.isNotEmpty(NodeMultiserver.stacks)
      const [address] = Result.getOrThrow(Address.parse(`net:h:1~${protocol}`))
      assert.strictEqual(address.transforms[0]?._tag, "opaque")
    },
    5 * minute
  )
})
