/**
 * `npm run bench`: everything, about 14 minutes. `npm run bench:quick`: what the gates need, under 90 seconds. Or a
 * choice:
 *
 *     node bench/main.mjs --tests bulk64k,ping --peers net,ours,ours@/path/of/another/checkout --reps 3 --seconds 2
 */
import { execFileSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import { cpus } from "node:os"
import { parseArgs } from "node:util"
import { latest, writeChart } from "./chart.mjs"
import { judge } from "./gates.mjs"
import { find, rowOf } from "./peers/registry.mjs"
import { run } from "./run.mjs"
import { installPeers } from "./setup.mjs"
import { snapshot } from "./snapshot.mjs"
import { tests } from "./suite.mjs"
import { gateTable, pairedTable, table } from "./tables.mjs"

const { values: flags } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    tests: { type: "string" },
    peers: { type: "string" },
    reps: { type: "string" },
    seconds: { type: "string" },
    out: { type: "string" }
  }
})

const list = (text) => text?.split(",")

/** Which peers each test is run with. Those that were asked for are in each test, but for what runs in one process. */
const choose = () => {
  const chosen = list(flags.tests) ?? Object.keys(tests).filter((test) => !flags.quick || tests[test].quick)
  const unknown = chosen.filter((test) => tests[test] === undefined)
  if (unknown.length > 0) throw new Error(`no test ${unknown}; there are ${Object.keys(tests).join(", ")}`)
  const asked = list(flags.peers)
  asked?.forEach(find)
  const peersOf = ({ alone, peers, quick }) => {
    if (asked === undefined) return flags.quick ? (quick ?? peers) : peers
    if (!alone) return asked
    return [...peers.filter((peer) => peer === "libsodium"), ...asked.filter((peer) => peers.includes(rowOf(peer)))]
  }
  return Object.fromEntries(chosen.map((test) => [test, peersOf(tests[test])]))
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

installPeers()
process.env.BENCH_ROOT ??= snapshot()
const source = commit()
const began = Date.now()
const repetitions = Number(flags.reps ?? (flags.quick ? 2 : 3))
const seconds = Number(flags.seconds ?? (flags.quick ? 0.5 : 0.6))
const { median, paired, raw } = await run(choose(), { repetitions, seconds, say })
say("")

const result = {
  node: process.version,
  cpu: `${cpus().length} x ${cpus()[0].model.trim()}`,
  date: new Date(began).toISOString(),
  commit: source,
  flags: { ...flags, repetitions, seconds },
  raw,
  median,
  ...(paired.length > 0 ? { paired } : {})
}
// A choice of tests answers the question that it was made for; only the whole of them is judged, and only all of them
// published.
const whole = flags.tests === undefined && flags.peers === undefined
const everything = whole && !flags.quick
const own = new URL(`results/${result.date.replaceAll(":", "-")}.json`, import.meta.url)
writeFileSync(flags.out ?? (everything ? latest : own), `${JSON.stringify(result, short, 2)}\n`)
if (everything) writeChart(result)

console.log(`Node ${result.node}, ${result.cpu}, ${result.commit}: medians of ${repetitions} x ${seconds} s\n`)
for (const [test, peers] of Object.entries(median))
  if (Object.keys(peers).length > 0) console.log(`${table(test, peers)}\n`)
if (paired.length > 0) console.log(`${pairedTable(paired)}\n`)

const judged = judge(raw, flags.quick)
const shown = whole ? judged : judged.filter(({ value }) => value !== undefined)
if (shown.length > 0) console.log(`${gateTable(shown)}\n`)
console.log(`${Math.round((Date.now() - began) / 1000)} s`)
if (whole && judged.some(({ failed }) => failed)) process.exitCode = 1
