/** One process of a cell: does what the orchestrator asks over IPC. The row comes in BENCH_ROW. */
import { ballast } from "./ballast.mjs"
import { checkBufferutil, leaveOutBufferutil } from "./bufferutil.mjs"
import { operations } from "./operations.mjs"

const row = JSON.parse(process.env.BENCH_ROW)
if (process.env.BALLAST) ballast(Number(process.env.BALLAST))

const prepare = async () => {
  if (!row.bufferutil) leaveOutBufferutil()
  const { make } = await import(`./peers/${row.module}.mjs`)
  const peer = await make(row.options)
  checkBufferutil(row.bufferutil)
  return operations(peer)
}
let prepared

/** A test that runs in one process brings its own operation. The peer isn't loaded, because that slows it down. */
const operation = async (name) => {
  if (name === "alone") return async ({ path, ...options }) => (await import(path)).alone(options)
  prepared ??= prepare()
  return (await prepared)[name]
}

process.on("message", async ({ id, name, args }) => {
  try {
    const run = await operation(name)
    process.send({ id, result: await run(args) })
  } catch (error) {
    process.send({ id, error: error instanceof Error ? error.message : String(error) })
  }
})
process.on("disconnect", () => process.exit())
