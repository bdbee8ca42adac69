/**
 * The hostile tests in their full size: `npm run test:hostile [NAME...]`. Prints the table of docs/threat-model.md with
 * what was measured; exits with 1 when a promise is not held. `--write` puts the table there. `--quick` runs the quick
 * size, whose times count for nothing. `--on=ws~shs` is one of the stacks, and `--times` says how long each row took.
 */
import * as fs from "node:fs"
import { parseArgs } from "node:util"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { Verdict } from "./checks.ts"
import { type Scenario, stacksOf } from "./scenario.ts"
import { scenarios } from "./scenarios/index.ts"
import { partsOf, type Size, type StackName, transports } from "./world.ts"

// What is not known is an error: a name that is not written right would choose nothing, and hold.
const { positionals: names, values: flags } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: "boolean", default: false },
    quick: { type: "boolean", default: false },
    times: { type: "boolean", default: false },
    on: { type: "string" }
  }
})
const { on: only, times } = flags
const size: Size = flags.quick ? "quick" : "full"
for (const name of names) {
  if (!scenarios.some((scenario) => scenario.name === name))
    throw new Error(`no test "${name}": there are ${scenarios.map((scenario) => scenario.name).join(", ")}`)
}
if (only !== undefined && !scenarios.some((scenario) => stacksOf(scenario).some((stack) => stack === only)))
  throw new Error(`no stack ${only} is tested`)
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

const brokenOff = (why: string): Verdict => ({ measured: "", broken: [why], late: [] })

const runOne = (scenario: Scenario, stack: StackName): Effect.Effect<Verdict> =>
  Effect.scoped(scenario.run(stack, size)).pipe(
    Effect.timeoutOrElse({ duration: "5 minutes", orElse: () => Effect.succeed(brokenOff("it does not end")) }),
    // One that dies is no reason not to run the others.
    Effect.catchCause((cause) => Effect.succeed(brokenOff(Cause.pretty(cause))))
  )

const runEach = (scenario: Scenario) =>
  Effect.gen(function* () {
    const { answer, asset, attacker, name, once, promise, threat } = scenario
    const cells = new Map<string, Array<string>>(transports.map((transport) => [transport, []]))
    const began = performance.now()
    for (const stack of stacksOf(scenario).filter((stack) => only === undefined || stack === only)) {
      const { over, transport } = partsOf(stack)
      const { broken, late, measured } = yield* runOne(scenario, stack)
      const faults = [...broken, ...late]
      const of = once || over === "" ? "" : `${over}: `
      cells.get(transport)?.push(`${of}${faults.length > 0 ? "**NOT HELD** " : ""}${measured}`)
      for (const fault of faults) failures.push(`${name}, ${stack}: ${fault}`)
    }
    const measured = [...cells.values()].map((each) => each.join("; ") || "-")
    row(asset, attacker, threat, answer, promise, name, ...measured)
    if (times) process.stderr.write(`${Math.round((performance.now() - began) / 1000)} s: ${name}\n`)
  })

const columns = ["asset", "attacker", "threat", "answer", "promise", "test", ...transports]
row(...columns)
row(...columns.map(() => "---"))

await Effect.runPromise(Effect.forEach(chosen, runEach, { discard: true }))

if (flags.write && names.length === 0 && only === undefined) {
  const [before = "", rest = ""] = fs.readFileSync(document, "utf8").split(/(?<=<!-- measured -->\n)/)
  const after = rest.slice(rest.indexOf("<!-- /measured -->"))
  fs.writeFileSync(document, `${before}${rows.join("\n")}\n${after}`)
}

for (const failure of failures) process.stderr.write(`NOT HELD: ${failure}\n`)
process.exitCode = failures.length === 0 ? 0 : 1
