/** The manual pages and the completions in the package say what the command says of itself. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import manifest from "../../package.json" with { type: "json" }
import { helpOf } from "../../scripts/manual.ts"
import * as Reporter from "../../src/cli/reporter.ts"
import { variables } from "../../src/variables.ts"
import { folder } from "./support.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const built = (file: string): string => fs.readFileSync(path.join(root, file), "utf8")

const commands = ["keygen", "listen", "connect", "bridge", "probe", "tracker", "record", "address"]

const described = Layer.provideMerge(Reporter.layer, NodeServices.layer)

/** The flags of a command, as they are typed; and those that take a file. */
const flagsOf = (command: string) =>
  Effect.map(Effect.provide(helpOf(command), described), ({ flags, globalFlags = [] }) => {
    const all = [...flags, ...globalFlags]
    return {
      names: all.flatMap(({ aliases, name }) => [`--${name}`, ...aliases]),
      files: all.filter(({ type }) => type === "FILE").map(({ name }) => `--${name}`)
    }
  })

/** Runs a tool; `undefined` where there is none. */
const run = (tool: string, ...args: ReadonlyArray<string>) => {
  const { error, status, stderr, stdout } = spawnSync(tool, args, { encoding: "utf8" })
  return error === undefined ? { status, stdout, stderr } : undefined
}

/** Whether this machine has a tool. What needs one that it doesn't have is skipped, and said to be. */
const has = (tool: string): boolean => run(tool, "--version") !== undefined
for (const tool of ["groff", "bash", "zsh", "fish"]) {
  if (!has(tool)) console.error(`NOT TESTED: there is no ${tool} on this machine to read what is made for it`)
}

/** As `man` shows a page: hyphens and backslashes are escaped in its source. */
const read = (page: string): string =>
  page
    .replaceAll("\\-", "-")
    .replaceAll("\\&", "")
    .replaceAll("\\e", "\\")
    .replace(/\\f[BIR]/g, "")

describe("the manual", () => {
  it("has a page of each command, which package.json lists", () => {
    const pages = ["multiserver.1", ...commands.map((command) => `multiserver-${command}.1`)]
    assert.sameMembers(fs.readdirSync(path.join(root, "man")), pages)
    assert.sameMembers(
      manifest.man,
      pages.map((page) => `./man/${page}`)
    )
  })

  it.effect.each(commands)("of %s has each of its flags, variables and examples", (command) =>
    Effect.gen(function* () {
      const page = read(built(`man/multiserver-${command}.1`))
      const { names } = yield* flagsOf(command)
      const { description, examples = [] } = yield* Effect.provide(helpOf(command), described)
      assert.include(page, description)
      for (const name of names) assert.match(page, new RegExp(`^(-\\w, )?${name}( |,|$)`, "m"))
      for (const example of examples) assert.include(page, example.command)
      for (const variable of Object.values(variables)) {
        const isRead = variable.commands.some((each) => each === command)
        assert.strictEqual(page.includes(`\n${variable.name}\n`), isRead, variable.name)
      }
    })
  )

  it("has the exit codes", () => {
    const page = read(built("man/multiserver.1"))
    for (const code of [0, 1, 2, 3, 4, 5, 6, 7, 129, 130, 143]) assert.include(page, `.TP\n${code}\n`)
  })

  it.skipIf(!has("groff")).each(["multiserver", ...commands.map((command) => `multiserver-${command}`)])(
    "%s(1) is what groff takes",
    (name) => {
      const checked = run("groff", "-man", "-ww", "-Tutf8", path.join(root, `man/${name}.1`))
      assert.strictEqual(checked?.stderr, "")
      assert.include(checked?.stdout, "multiserver")
    }
  )
})

const scripts = ["multiserver.bash", "_multiserver", "multiserver.fish"]

/** What bash offers for a line whose last word is not complete. */
const offered = (cwd: string, line: string): Array<string> => {
  const program = `
    . "$1" || exit 1
    cd "$2" || exit 1
    COMP_LINE=$3 COMP_POINT=\${#3}
    read -ra COMP_WORDS <<< "$3"
    [[ $3 == *" " ]] && COMP_WORDS+=("")
    COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
    _multiserver multiserver "\${COMP_WORDS[COMP_CWORD]}" "\${COMP_WORDS[COMP_CWORD-1]}"
    printf '%s\\n' "\${COMPREPLY[@]}"`
  const script = path.join(root, "completions/multiserver.bash")
  const { status, stderr, stdout } = spawnSync(
    "bash",
    ["--norc", "--noprofile", "-c", program, "bash", script, cwd, line],
    { encoding: "utf8" }
  )
  assert.deepStrictEqual({ status, stderr }, { status: 0, stderr: "" })
  return stdout.trim().split("\n")
}

describe("completions", () => {
  it.effect("have each flag of each command", () =>
    Effect.gen(function* () {
      for (const command of commands) {
        const { names } = yield* flagsOf(command)
        for (const script of scripts) {
          const text = built(`completions/${script}`)
          for (const name of names) {
            const inFish = name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`
            const own = script.endsWith(".fish")
              ? text.split("\n").filter((line) => line.includes(`__fish_seen_subcommand_from ${command}`))
              : [text.slice(text.indexOf(`_multiserver_${command}()`)).split(/^}/m)[0] ?? ""]
            assert.isTrue(
              own.some((part) => part.includes(script.endsWith(".fish") ? inFish : name)),
              `${script}: ${command} ${name}`
            )
          }
        }
      }
    })
  )

  it.live.skipIf(!has("bash"))("are loaded by bash, and complete commands, flags and files", () =>
    Effect.gen(function* () {
      const place = yield* folder
      fs.writeFileSync(path.join(place, "secret key"), "")
      fs.mkdirSync(path.join(place, "secrets"))
      assert.sameMembers(offered(place, "multiserver "), commands)
      assert.deepStrictEqual(offered(place, "multiserver listen --key-f"), ["--key-file"])
      assert.deepStrictEqual(offered(place, "multiserver listen --scope de"), ["device"])
      // No flag has a negation: it would be what holds anyway.
      assert.deepStrictEqual(offered(place, "multiserver connect --no"), [""])
      assert.sameMembers(offered(place, "multiserver connect --js"), ["--json"])
      for (const command of commands) {
        const { files } = yield* flagsOf(command)
        assert.isNotEmpty(files)
        for (const flag of files) {
          const found = offered(place, `multiserver ${command} ${flag} sec`)
          assert.sameMembers(found, ["secret\\ key", "secrets"], `${command} ${flag}`)
        }
      }
    })
  )

  it.skipIf(!has("zsh") && !has("fish")).each(
    [
      ["zsh", "_multiserver"],
      ["fish", "multiserver.fish"]
    ].filter(([shell = ""]) => has(shell))
  )("are what %s can read", (shell, script) => {
    const checked = run(shell, "-n", path.join(root, "completions", script))
    assert.deepStrictEqual({ status: checked?.status, stderr: checked?.stderr }, { status: 0, stderr: "" })
  })
})
