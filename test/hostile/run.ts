/**
 * The hostile tests in their full size: `npm run test:hostile [NAME...]`. Prints the table of docs/threat-model.md with what was measured;
 * exits with 1 when a promise is not held. `--write` puts the table there. `--quick` runs the quick size, whose times count for nothing.
 */
import * as fs from "node:fs"
import * as Effect from "effect/Effect"
import type { Verdict } from "./checks.ts"
import type { Scenario } from "./scenario.ts"
import { scenarios } from "./scenarios/index.ts"
import { type Size, type StackName, stacks } from "./world.ts"

const args = process.argv.slice(2)
const names = args.filter((arg) => !arg.startsWith("--"))
const size: Size = args.includes("--quick") ? "quick" : "full"
const chosen = scenarios.filter(({ name }) => names.length === 0 || names.includes(name))

const document = new URL("../../docs/threat-model.md", import.meta.url)
const rows: Array<string> = []

const row = (...cells: ReadonlyArray<string>) => {
  const line = `| ${cells.join(" | ")} |`
  rows.push(line)
  process.stdout.write(`${line}
`)
}

const failures: Array<string> = []

const runOne = (scenario: Scenario, stack: StackName): Effect.Effect<Verdict> =>
  Effect.scoped(scenario.run(stack, size)).pipe(
    Effect.timeoutOrElse({
      duration: "3 minutes",
      orElse: () => Effect.succeed({ measured: "", broken: ["it does not end"], late: [] })
    })
  )

const runEach = (scenario: Scenario) =>
  Effect.gen(function* () {
    const { answer, asset, attacker, name, once, promise, threat } = scenario
    const cells: Array<string> = []
    for (const stack of once ? stacks.slice(0, 1) : stacks) {
      const { broken, late, measured } = yield* runOne(scenario, stack)
      const faults = [...broken, ...late]
      const of = once ? "" : `${stack}: `
      cells.push(`${of}${faults.length > 0 ? "**NOT HELD** " : ""}${measured}`)
      for (const fault of faults) failures.push(`${name}, ${of}${fault}`)
    }
    row(asset, attacker, threat, answer, promise, name, cells.join("; "))
  })

row("asset", "attacker", "threat", "answer", "promise", "test", "measured")
row("---", "---", "---", "---", "---", "---", "---")

await Effect.runPromise(Effect.forEach(chosen, runEach, { discard: true }))

if (args.includes("--write") && names.length === 0) {
  const [before = "", rest = ""] = fs.readFileSync(document, "utf8").split(/(?<=<!-- measured -->\n)/)
  const after = rest.slice(rest.indexOf("<!-- /measured -->"))
  fs.writeFileSync(document, `${before}${rows.join("\n")}\n${after}`)
}

for (const failure of failures) process.stderr.write(`NOT HELD: ${failure}\n`)
process.exitCode = failures.length === 0 ? 0 : 1
