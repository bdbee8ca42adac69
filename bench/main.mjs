/**
 * `npm run bench`: everything, at most 20 minutes on two quiet cores. `npm run bench:quick`: the gates but for the slow
 * ones, some eight minutes. Or a choice, of gates by their names, or of rows:
 *
 *     node bench/main.mjs --gates "ws~shs"
 *     node bench/main.mjs --tests bulk64k,ping --peers net,ours,ours@/path/of/another/checkout --reps 3 --seconds 2
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { measureFor } from "./cell.mjs"
import { latest, writeChart } from "./chart.mjs"
import { exitCodeOf, gates, judge } from "./gates.mjs"
import { choice, field, matches } from "./plan.mjs"
import { collect, comparisons, medians, run } from "./run.mjs"
import { installPeers } from "./setup.mjs"
import { snapshot } from "./snapshot.mjs"
import { fewest } from "./statistics.mjs"
import { tests } from "./suite.mjs"
import { gateTable, pairedTable, table } from "./tables.mjs"

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    gates: { type: "string" },
    tests: { type: "string" },
    peers: { type: "string" },
    reps: { type: "string" },
    seconds: { type: "string" },
    longer: { type: "string" },
    out: { type: "string" }
  }
})

const list = (text) => text?.split(",")
const number = (text, otherwise) => (text === undefined ? otherwise : Number(text))

const rows = flags.tests !== undefined || flags.peers !== undefined
const everything = !rows && !flags.quick && flags.gates === undefined
const repetitions = number(flags.reps, rows ? 3 : everything ? 2 : fewest)
/** How many CPU seconds of work a cell measures, and for how many seconds all that is not clear is measured longer. */
const seconds = number(flags.seconds, 0.8)
const longer = number(flags.longer, flags.quick ? 60 : 30)

/** Everything: the gates, and besides them the peers of the tables. */
const planned = () => {
  if (rows) return choice(tests, { names: list(flags.tests), peers: list(flags.peers), repetitions })
  if (everything) {
    const gated = matches(gates)
    return [...gated, ...field(tests, gated, repetitions)]
  }
  const chosen = gates.filter(({ name, slow }) => name.includes(flags.gates ?? "") && !(flags.quick && slow))
  if (chosen.length === 0) throw new Error(`no gate has ${flags.gates} in its name`)
  return matches(chosen, repetitions)
}

const git = (...args) => {
  try {
    return execFileSync("git", args, {
      encoding: "utf8",
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  } catch {
    return ""
  }
}

const commit = () => {
  const dirty = git("status", "--porcelain", "--", "../src") === "" ? "" : "-dirty"
  return `${git("rev-parse", "--short", "HEAD")}${dirty}`
}

const say = (text, keep = false) => {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[2K${text}${keep ? "\n" : ""}`)
  else if (keep) process.stderr.write(`${text}\n`)
}

/** Five digits say more than a measurement knows. */
const short = (_key, value) => (typeof value === "number" ? Number(value.toPrecision(5)) : value)

const series = planned()
installPeers()
process.env.BENCH_ROOT ??= snapshot()
const source = commit()
const began = Date.now()
await run(series, { measure: measureFor(seconds), say, seconds: longer })
say("")

const raw = collect(series, tests)
const middle = medians(raw)
const paired = comparisons(series)
const judged = judge(series, middle)
const result = {
  node: process.version,
  cpu: `${cpus().length} x ${cpus()[0].model.trim()}`,
  date: new Date(began).toISOString(),
  minutes: (Date.now() - began) / 60_000,
  commit: source,
  flags: { ...flags, repetitions, seconds, longer },
  gates: judged.map(({ gate: { aim, least, most, name }, ...found }) => ({ name, least, most, aim, ...found })),
  median: middle,
  ...(paired.length > 0 ? { paired } : {}),
  raw
}
// Only a run of everything is published.
const own = new URL(`results/${result.date.replaceAll(":", "-")}.json`, import.meta.url)
const written = `${JSON.stringify(result, short, 2)}\n`
writeFileSync(flags.out ?? (everything ? latest : own), written)
if (everything && flags.out === undefined) writeChart(JSON.parse(written))

console.log(`Node ${result.node}, ${result.cpu}, ${result.commit}: medians, cells of ${seconds} CPU s\n`)
for (const [test, peers] of Object.entries(middle)) console.log(`${table(test, peers)}\n`)
if (paired.length > 0) console.log(`${pairedTable(paired)}\n`)
if (judged.length > 0) console.log(`${gateTable(judged)}\n`)
if (everything) {
  const { workers, workersTable } = await import("./workers.mjs")
  console.log(`${workersTable(await workers())}\n`)
}
console.log(`${Math.round((Date.now() - began) / 1000)} s`)
process.exitCode = exitCodeOf(judged)
