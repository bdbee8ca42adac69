/**
 * Several processes behind one port: what a handshake costs, and how evenly the connections are spread.
 *
 *     node bench/workers.mjs [--dials 6000]
 *
 * The command listens on net~shs as one process, then with `--workers 1` and `--workers 2`. This process dials it: a
 * handshake, one byte there and back, a goodbye, eight at a time. The CPU is that of the processes that serve, by
 * Linux's own count, and in `parent` that of the process that has started them.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../dist/Multiserver.js"
import * as NodeIdentity from "../dist/NodeIdentity.js"
import * as NodeMultiserver from "../dist/NodeMultiserver.js"
import { layout } from "./tables.mjs"

const command = fileURLToPath(new URL("../dist/cli/main.js", import.meta.url))

/** Milliseconds of CPU that a process has taken; Linux counts them in hundredths of a second. */
const cpuOf = (pid) => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ")
  return (Number(fields[11]) + Number(fields[12])) * 10
}

const sum = (numbers) => numbers.reduce((all, each) => all + each, 0)

/** One way to serve: its figures for so many dials. */
const measure = async (workers, dials) => {
  const own = workers === 0 ? [] : ["--workers", String(workers)]
  const child = spawn(process.execPath, [command, "listen", "net:127.0.0.1:0~shs", "--echo", "--json", ...own], {
    stdio: ["ignore", "ignore", "pipe"]
  })
  const pids = []
  const shares = new Map()
  let begun = false
  const address = await new Promise((resolve) => {
    let found
    createInterface({ input: child.stderr }).on("line", (line) => {
      const event = JSON.parse(line)
      if (event.event === "listening") found = event.addresses[0]
      if (event.event === "worker-started") pids.push(event.pid)
      if (event.event === "connected" && begun) shares.set(event.worker, (shares.get(event.worker) ?? 0) + 1)
      if (found !== undefined && pids.length === workers) resolve(found)
    })
  })
  const once = Effect.scoped(
    Effect.flatMap(Multiserver.dial(address), ({ pull, write }) => Effect.andThen(write(new Uint8Array([7])), pull))
  )
  const many = (count) => Effect.forEach(Array.from({ length: count }), () => once, { concurrency: 8, discard: true })
  const live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))
  const serving = workers === 0 ? [child.pid] : pids
  const [cpu, parent] = await Effect.runPromise(
    Effect.gen(function* () {
      // Until the code is compiled.
      yield* many(2000 * Math.max(1, workers))
      begun = true
      const before = [sum(serving.map(cpuOf)), cpuOf(child.pid)]
      yield* many(dials)
      return [sum(serving.map(cpuOf)) - before[0], cpuOf(child.pid) - before[1]]
    }).pipe(Effect.provide(live))
  )
  const ended = new Promise((resolve) => child.once("exit", resolve))
  child.kill("SIGTERM")
  await ended
  const off = Math.max(...[...shares.values()].map((share) => Math.abs((share * serving.length) / dials - 1)))
  return {
    "us of CPU a handshake": (cpu / dials) * 1000,
    "parent, us": workers === 0 ? undefined : (parent / dials) * 1000,
    "largest share off by": workers < 2 ? undefined : off
  }
}

/** The figures of each way to serve, by its name. */
export const workers = async (dials = 6000) => {
  const rows = {}
  for (const [name, count] of Object.entries({ "one process": 0, "--workers 1": 1, "--workers 2": 2 })) {
    rows[name] = await measure(count, dials)
  }
  return rows
}

const short = (value, name) => {
  if (value === undefined) return ""
  return name.includes("off by") ? `${(value * 100).toFixed(1)} %` : value.toFixed(0)
}

/** The same as a table. */
export const workersTable = (rows) => {
  const names = Object.keys(Object.values(rows)[0])
  return layout([
    ["net~shs", ...names],
    ...Object.entries(rows).map(([name, row]) => [name, ...names.map((each) => short(row[each], each))])
  ])
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { dials: { type: "string", default: "6000" } } })
  console.log(workersTable(await workers(Number(values.dials))))
}
