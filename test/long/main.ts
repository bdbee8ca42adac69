/**
 * npm run test:long             what takes longer than a test run may: some hours, one part after the other, with a
 * summary npm run test:long -- busy     one part, or several
 *
 * A part that fails keeps no other from running; the process exits with 1 when one did.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import * as path from "node:path"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))
const script = (name: string): string => path.join(root, name)
const vitest = [script("node_modules/vitest/vitest.mjs"), "run"]

// -----------------------------------------------------------------------------
// processes
// -----------------------------------------------------------------------------

/** What runs now. None of it outlives this process, however that ends; SIGKILL leaves to the busy loops to see it. */
const running = new Set<ChildProcess>()
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL")
})
for (const [signal, code] of [
  ["SIGINT", 130],
  ["SIGTERM", 143]
] as const) {
  process.on(signal, () => process.exit(code))
}

const start = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): ChildProcess => {
  const child = spawn(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } })
  running.add(child)
  child.once("exit", () => running.delete(child))
  return child
}

/** Its exit code; 1 when a signal ended it, or when it can't be started. */
const exitCode = (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): Promise<number> =>
  new Promise((resolve) => {
    const child = start(command, args, env)
    child.once("error", (error) => {
      console.error(error)
      resolve(1)
    })
    child.once("exit", (code) => resolve(code ?? 1))
  })

/** Whether it ended well. */
const ran = async (command: string, args: ReadonlyArray<string>, env: Record<string, string> = {}): Promise<boolean> =>
  (await exitCode(command, args, env)) === 0

// -----------------------------------------------------------------------------
// parts
// -----------------------------------------------------------------------------

/** `left out`: something that it needs is not on this machine. */
type Outcome = boolean | "left out"

interface Part {
  readonly name: string
  readonly what: string
  readonly run: () => Promise<Outcome>
}

/** With a peer in Go. */
const flynn = async (): Promise<Outcome> => {
  const code = await exitCode(process.execPath, [script("test/long/flynn.ts")])
  return code === 3 ? "left out" : code === 0
}

/** The suite beside as many loops as keep two cores busy. */
const busy = async (): Promise<boolean> => {
  const loops = [0, 1].map(() => start(process.execPath, [script("test/long/busyLoop.mjs")]))
  try {
    return await ran(process.execPath, vitest)
  } finally {
    for (const loop of loops) loop.kill("SIGKILL")
  }
}

/** The suite on another Node. */
const onNode = async (name: string): Promise<boolean> => {
  const { stdout } = spawnSync("bash", [script("scripts/install-runtimes.sh"), name], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8"
  })
  const [, node] = stdout.trim().split("\t")
  return node !== undefined && (await ran(node, ["--version"])) && (await ran(node, vitest))
}

const parts: ReadonlyArray<Part> = [
  { name: "busy", what: "the suite with two busy loops beside it", run: busy },
  {
    name: "hacks",
    what: "the suite with all hacks off (HACKS=off, see test/long/hacksOff.ts)",
    run: () =>
      ran(process.execPath, vitest, { HACKS: "off", NODE_OPTIONS: `--import=${script("test/long/hacksOffBuilt.mjs")}` })
  },
  {
    name: "fuzz",
    what: "a million inputs for each fuzzer",
    run: () => ran(process.execPath, [script("test/fuzz/main.ts")])
  },
  {
    name: "hostile",
    what: "all attacks in full",
    run: () => ran(process.execPath, [script("test/hostile/run.ts")])
  },
  {
    name: "consumers",
    what: "projects that depend on the package: each TypeScript, each way to resolve, each strictness",
    run: () => ran(process.execPath, [...vitest, "test/consumers.test.ts"], { CONSUMERS: "all" })
  },
  {
    name: "gossip",
    what: "gossip among 100 nodes with more seeds",
    run: () => ran(process.execPath, [...vitest, "test/gossip/simulation.test.ts"], { GOSSIP: "all" })
  },
  {
    name: "chaos",
    what: "every stack over a rough transport, with more seeds",
    run: () => ran(process.execPath, [...vitest, "test/chaos.test.ts"], { CHAOS: "all" })
  },
  {
    name: "workers",
    what: "6,000 dials to two workers, where npm test has 600",
    run: () => ran(process.execPath, [...vitest, "test/cli/workers.test.ts"], { WORKERS_DIALS: "6000" })
  },
  {
    name: "yields",
    what: "nothing is missed wherever Effect lets others run: each place with each stack and view",
    run: () => ran(process.execPath, [...vitest, "test/faults/yields.test.ts"], { YIELDS: "all" })
  },
  {
    name: "hermes",
    what: "all vectors in Hermes, the engine of React Native",
    run: () => ran(process.execPath, [...vitest, "test/reactNative/hermes.test.ts"], { HERMES: "all" })
  },
  {
    name: "browsers",
    what: "the tests in browsers, with all vectors in a worker too",
    run: () => ran(process.execPath, [...vitest, "test/browser/browsers.test.ts"], { BROWSERS: "all" })
  },
  { name: "flynn", what: "noise with Go's flynn/noise, in both roles", run: flynn },
  { name: "soak", what: "200 connections at once", run: () => ran(process.execPath, [script("test/soak/main.ts")]) },
  {
    name: "runtimes",
    what: "npm run test:runtimes: the package on each Node, Deno and Bun",
    run: () => ran("npm", ["run", "-s", "test:runtimes"])
  },
  ...["node20", "node22", "node26"].map(
    (name): Part => ({ name, what: `the suite on ${name.replace("node", "Node ")}`, run: () => onNode(name) })
  )
]

// -----------------------------------------------------------------------------
// all of them
// -----------------------------------------------------------------------------

const wanted = process.argv.slice(2)
const unknown = wanted.filter((name) => parts.every((part) => part.name !== name))
if (unknown.length > 0) {
  console.error(`no part ${unknown.join(", ")}: there are ${parts.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}

const results: Array<{
  readonly part: string
  readonly what: string
  readonly minutes: number
  readonly passed: Outcome
}> = []
// Command tests run what is built.
const built = await ran("npm", ["run", "-s", "build"])
for (const { name, run, what } of parts) {
  if (!built || (wanted.length > 0 && !wanted.includes(name))) continue
  console.log(`\n=== ${name}: ${what}\n`)
  const began = performance.now()
  const passed = await run()
  const minutes = Math.round((performance.now() - began) / 6000) / 10
  results.push({ part: name, what, minutes, passed })
}
console.table(results)
process.exitCode = built && results.every(({ passed }) => passed !== false) ? 0 : 1
