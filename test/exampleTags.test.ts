/** The examples in docstrings: each is a program of its own, compiles, runs, and prints what it says. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it, vi } from "vitest"

const root = fileURLToPath(new URL("../", import.meta.url))
/** Within the project, so that the package has its name there; not a part of it for the compiler and the linter. */
const folder = path.join(root, "test/.examples")

interface Example {
  readonly name: string
  readonly code: string
}

const examplesOf = (file: string): ReadonlyArray<Example> => {
  const text = fs.readFileSync(path.join(root, "src", file), "utf8")
  return [...text.matchAll(/ \* @example\n \* ```ts\n(.*?) \* ```\n.*? \*\/\nexport (?:const|class) (\w+)/gs)].map(
    ([, code = "", name = ""]) => ({
      name: `${file.replace(/\.ts$/, "")}.${name}`,
      code: code.replace(/^ \* ?/gm, "")
    })
  )
}

const sources = fs.readdirSync(path.join(root, "src"), { recursive: true, encoding: "utf8" })
const examples = sources.filter((file) => file.endsWith(".ts")).flatMap(examplesOf)
const fileOf = ({ name }: Example): string => path.join(folder, `${name.replaceAll("/", ".")}.ts`)

/** What the comments say that is printed. */
const promised = (code: string): ReadonlyArray<string> =>
  [...code.matchAll(/(?:console\.log\(.*\) |^)\/\/ (.+)$/gm)].flatMap(([line, said = ""]) =>
    line.startsWith("console.log") || code.trimEnd().endsWith(line) ? [said] : []
  )

beforeAll(() => {
  fs.rmSync(folder, { recursive: true, force: true })
  fs.mkdirSync(folder)
  for (const example of examples) fs.writeFileSync(fileOf(example), example.code)
  const tsconfig = {
    extends: "../../tsconfig.json",
    include: ["*.ts"],
    // Against the types of the built package, as for who installs it: the source itself is not checked here.
    compilerOptions: {
      noEmit: true,
      paths: {
        "effect-multiserver": ["../../dist/index.d.ts"],
        "effect-multiserver/testing": ["../../dist/testing/index.d.ts"],
        "effect-multiserver/*": ["../../dist/*.d.ts"]
      }
    }
  }
  fs.writeFileSync(path.join(folder, "tsconfig.json"), JSON.stringify(tsconfig))
})

afterAll(() => fs.rmSync(folder, { recursive: true, force: true }))

describe("the examples of docstrings", () => {
  it("are there, and all of them are found", () => {
    const tags = sources
      .filter((file) => file.endsWith(".ts"))
      .flatMap((file) => [...fs.readFileSync(path.join(root, "src", file), "utf8").matchAll(/@example/g)])
    assert.isAtLeast(examples.length, 15)
    assert.strictEqual(examples.length, tags.length)
  })

  it("compile", () => {
    const compiler = path.join(root, "node_modules/typescript/bin/tsc")
    const { stdout } = spawnSync(process.execPath, [compiler, "-p", folder], { encoding: "utf8" })
    assert.strictEqual(stdout, "")
  })

  it.each(examples)("$name runs, and prints what it says", async (example) => {
    const printed: Array<string> = []
    const log = vi.spyOn(console, "log").mockImplementation((...said) => void printed.push(said.map(String).join(" ")))
    await import(/* @vite-ignore */ fileOf(example))
    log.mockRestore()
    assert.deepStrictEqual(printed, promised(example.code))
  })
})
