/** `npm run fuzz` starts this, in a process of its own: a thread can't listen on a unix socket. */
import { parseArgs } from "node:util"
import { type Replay, sequences, steps, type Tally } from "./run.ts"

const { values } = parseArgs({
  options: {
    seed: { type: "string", default: "1" },
    steps: { type: "string", default: "1000" },
    path: { type: "string" },
    commands: { type: "string" }
  }
})
const { commands, path } = values
const replay: Replay | undefined = path !== undefined && commands !== undefined ? { path, commands } : undefined
const options = { seed: Number(values.seed), replay, onRun: () => void process.send?.("run") }
const started = performance.now()
const tally: Tally | Error = await (replay === undefined
  ? steps(Number(values.steps), options)
  : sequences({ ...options, runs: 1 })
).catch((error: Error) => error)
if (tally instanceof Error) {
  console.log(`sequences fail: ${tally.message}`)
  process.exit(1)
}
const seconds = (performance.now() - started) / 1000
const told = [...tally].sort(([, a], [, b]) => b - a).map(([what, times]) => `${what} ${times}`)
console.log(`sequences: ${seconds.toFixed(1)} s\n  ${told.join(", ")}`)
process.exit(0)
