/** Connect, handshake, one byte there and back. */
import { calibrate, timed } from "../measure.mjs"

const measured = async (server, client, count, run) => {
  const { client: clientCpu, server: serverCpu, wall } = await timed(server, client, () => run(count))
  return {
    perSecond: count / wall,
    clientCpuMicros: (clientCpu / count) * 1e6,
    serverCpuMicros: (serverCpu / count) * 1e6,
    cpuMicros: ((clientCpu + serverCpu) / count) * 1e6
  }
}

/** Dials until so many are done, or so many seconds have passed. */
const warmUp = async (run, concurrency, seconds, most = Number.POSITIVE_INFINITY) => {
  const end = performance.now() + seconds * 1000
  for (let done = 0; done < most && performance.now() < end; done += concurrency) await run(concurrency)
}

const prepared = async (server, client, concurrency) => {
  const target = await server.do("listen", { mode: "echo" })
  return (count) => client.do("dials", { target, count, concurrency })
}

/** One after another. */
export const dials = async (server, client, { seconds }) => {
  const run = await prepared(server, client, 1)
  await warmUp(run, 1, 2)
  return measured(server, client, await calibrate(run, seconds, 2), run)
}

/**
 * 64 at once, in processes that have just begun, and when they are warm: most of what a dial takes runs once a dial, and V8 compiles for
 * speed what has run some thousands of times.
 */
export const dials64 = async (server, client, { seconds }) => {
  const run = await prepared(server, client, 64)
  const { cpuMicros: coldCpuMicros } = await measured(server, client, 1024, run)
  await warmUp(run, 320, 8, 10_000)
  return { ...(await measured(server, client, await calibrate(run, seconds, 128), run)), coldCpuMicros }
}

/** From one to 512 at once in one pair of processes: the CPU of a dial stays what it is. */
export const growingDials = async (server, client, { seconds }) => {
  const target = await server.do("listen", { mode: "echo" })
  const run = (concurrency) => (count) => client.do("dials", { target, count, concurrency })
  const count = Math.max(512, await calibrate(run(64), seconds, 128))
  const figures = {}
  for (const concurrency of [1, 8, 64, 512]) {
    const { cpuMicros } = await measured(server, client, count, run(concurrency))
    figures[`cpuMicrosAt${concurrency}`] = cpuMicros
  }
  return { ...figures, growth: figures.cpuMicrosAt512 / figures.cpuMicrosAt64 }
}
