/**
 * npm run fuzz                                      each fuzzer, a million inputs, from a seed that it prints
 * npm run fuzz -- --only address --inputs 1000      one of them, and how much
 * npm run fuzz -- --only address --seed 5 --run 77  one run again, as a failure says it
 *
 * `sequences` is not like the others: its inputs are steps, and it says a failure by a seed, a path and commands.
 */
import { fork } from "node:child_process"
import { parseArgs } from "node:util"
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads"
import { type Fuzzer, fuzz, type Report, replay } from "./fuzzer.ts"
import { fuzzers } from "./fuzzers.ts"

interface Work {
  readonly name: string
  readonly seed: number
  readonly inputs: number
  readonly run: number | undefined
  /** The run that goes on, for who waits to say. */
  readonly at: Int32Array
}

/** How long one run may take before it counts as one that never ends. */
const stuckMillis = 120_000
/** A sequence waits for a minute, once or twice, for what does not happen. */
const stuckSequenceMillis = 300_000

const named = (name: string): Fuzzer => {
  const fuzzer = fuzzers.find((each) => each.name === name)
  if (fuzzer === undefined)
    throw new Error(`no fuzzer ${name}: there are ${fuzzers.map((each) => each.name).join(", ")}, sequences`)
  return fuzzer
}

/**
 * In a thread of its own, so that a run that never ends can be told and stopped. What nobody catches ends the thread.
 */
const watched = (work: Work): Promise<Report> =>
  new Promise((resolve, reject) => {
    const worker = new Worker(new URL(import.meta.url), { workerData: work })
    let seen = -1
    const timer = setInterval(() => {
      const now = Atomics.load(work.at, 0)
      if (now === seen) end(() => reject(new Error(`${work.name} hangs\nagain: ${replay(work.name, work.seed, now)}`)))
      seen = now
    }, stuckMillis)
    const end = (settle: () => void) => {
      clearInterval(timer)
      settle()
      void worker.terminate()
    }
    worker.once("message", (report: Report) => end(() => resolve(report)))
    worker.once("error", (error) => {
      const run = Atomics.load(work.at, 0)
      end(() => reject(new Error(`${String(error)}\nduring: ${replay(work.name, work.seed, run)}`, { cause: error })))
    })
  })

/**
 * Sequences of what peers may do, in a process of their own, because a thread can't listen on a unix socket. It prints
 * what it has found.
 */
const sequences = (args: ReadonlyArray<string>): Promise<void> =>
  new Promise((resolve) => {
    const child = fork(new URL("../sequences/main.ts", import.meta.url), args)
    const stuck = () => {
      console.log("sequences hang: a sequence has not ended for five minutes")
      child.kill("SIGKILL")
    }
    let timer = setTimeout(stuck, stuckSequenceMillis)
    child.on("message", () => {
      clearTimeout(timer)
      timer = setTimeout(stuck, stuckSequenceMillis)
    })
    child.on("exit", (code) => {
      clearTimeout(timer)
      if (code !== 0) process.exitCode = 1
      resolve()
    })
  })

if (isMainThread) {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      seed: { type: "string" },
      run: { type: "string" },
      path: { type: "string" },
      commands: { type: "string" },
      inputs: { type: "string", default: "1000000" }
    }
  })
  const seed = values.seed === undefined ? (crypto.getRandomValues(new Uint32Array(1))[0] ?? 0) : Number(values.seed)
  const run = values.run === undefined ? undefined : Number(values.run)
  console.log(`seed ${seed}`)
  const chosen = values.only === undefined ? fuzzers : values.only === "sequences" ? [] : [named(values.only)]
  for (const { name } of chosen) {
    const at = new Int32Array(new SharedArrayBuffer(4))
    const started = performance.now()
    const outcome = await watched({ name, seed, inputs: Number(values.inputs), run, at }).then(
      ({ inputs, outcomes, runs }) => {
        const seconds = (performance.now() - started) / 1000
        const tally = [...outcomes].sort(([, a], [, b]) => b - a).map(([outcome, count]) => `${outcome} ${count}`)
        return `${name}: ${inputs} inputs in ${runs} runs, ${seconds.toFixed(1)} s\n  ${tally.join(", ")}`
      },
      (error: Error) => {
        process.exitCode = 1
        return error.message
      }
    )
    console.log(outcome)
  }
  if (values.only === undefined || values.only === "sequences") {
    const again = values.path === undefined ? [] : ["--path", values.path, "--commands", values.commands ?? ""]
    await sequences(["--seed", String(seed), "--steps", values.inputs, ...again])
  }
} else {
  const { at, inputs, name, run, seed }: Work = workerData
  const report = await fuzz(named(name), { seed, inputs, run, onRun: (run) => void Atomics.store(at, 0, run) })
  parentPort?.postMessage(report)
}
