/** The processes of one cell of a table. */
import { fork } from "node:child_process"
import { fileURLToPath } from "node:url"

const modules = fileURLToPath(new URL("node_modules", import.meta.url))

const spawn = (row) => {
  // Only a row that asks for bufferutil finds it.
  const buffers = row.bufferutil ? { NODE_PATH: modules } : { WS_NO_BUFFER_UTIL: "1" }
  const root = row.root === undefined ? {} : { BENCH_ROOT: row.root }
  const child = fork(new URL("child.mjs", import.meta.url), {
    execArgv: row.flags,
    env: { ...process.env, ...buffers, ...root, ...row.env, BENCH_ROW: JSON.stringify(row) },
    // What peers have to say about connections that end is not for the tables.
    stdio: ["ignore", "ignore", process.env.BENCH_STDERR ? "inherit" : "ignore", "ipc"]
  })
  const waiting = new Map()
  let calls = 0
  child.on("message", ({ error, id, result }) => {
    const { reject, resolve } = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) resolve(result)
    else reject(new Error(error))
  })
  const gone = new Promise((resolve) => child.once("exit", resolve))
  gone.then((code) => {
    for (const { reject } of waiting.values()) reject(new Error(`the process ended, code ${code}`))
  })
  return {
    do: (name, args = {}) =>
      new Promise((resolve, reject) => {
        const id = calls++
        waiting.set(id, { resolve, reject })
        child.send({ id, name, args })
      }),
    stop: () => {
      child.kill("SIGKILL")
      return gone
    }
  }
}

/** Runs `use` with fresh processes, which end with it or after `seconds`. */
const within = async (children, seconds, use) => {
  let timer
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${seconds} s`)), seconds * 1000)
  })
  try {
    return await Promise.race([use(...children), late])
  } finally {
    clearTimeout(timer)
    await Promise.all(children.map((child) => child.stop()))
  }
}

const patience = 60

/** A server and a client of one peer. */
export const pair = (row, use) => within([spawn(row), spawn(row)], patience, use)

/** One process. */
export const single = (row, use) => within([spawn(row)], patience, use)
