/** The processes of one cell of a table. */
import { fork } from "node:child_process"
import { find } from "./peers/registry.mjs"
import { tests } from "./suite.mjs"

const spawn = (row) => {
  const buffers = row.bufferutil ? {} : { WS_NO_BUFFER_UTIL: "1" }
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

/** Seconds. The longest cell takes a third of it; js-libp2p hangs at times. */
const patience = 60

/** The figures of a cell with so many CPU seconds of work: of a server and a client of one peer, or of one process. */
export const measureFor =
  (seconds) =>
  ({ peer, test }) => {
    const row = find(peer)
    const { alone, run } = tests[test]
    return alone
      ? within([spawn(row)], patience, (child) => run(child, { peer, seconds }))
      : within([spawn(row), spawn(row)], patience, (server, client) =>
          run(server, client, { seconds, waits: row.waits })
        )
  }
