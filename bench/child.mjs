/** One process of a cell: does what the orchestrator asks over IPC. The row comes in BENCH_ROW. */
import { ballast } from "./ballast.mjs"
import { operations } from "./operations.mjs"

const row = JSON.parse(process.env.BENCH_ROW)
if (process.env.BALLAST) ballast(Number(process.env.BALLAST))

const ready = (async () => {
  if (row.module === "none") return {}
  const { make } = await import(`./peers/${row.module}.mjs`)
  return operations(await make(row.options))
})()

/** A test that needs no peer brings its own operation. */
const alone = async ({ path, ...options }) => (await import(path)).alone(options)

process.on("message", async ({ id, name, args }) => {
  try {
    const all = { alone, ...(await ready) }
    process.send({ id, result: await all[name](args) })
  } catch (error) {
    process.send({ id, error: error instanceof Error ? error.message : String(error) })
  }
})
process.on("disconnect", () => process.exit())
