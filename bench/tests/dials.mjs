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

/**
 * Two seconds, of every peer: what V8 does at once for code that runs is done then, hundreds of dials wouldn't do. It
 * goes on compiling for speed until some 10,000 dials are done (docs/performance.md).
 */
const warmUp = async (run, concurrency) => {
  for (const end = performance.now() + 2000; performance.now() < end; ) await run(concurrency)
}

const prepared = async (server, client, concurrency) => {
  const target = await server.do("listen", { mode: "echo" })
  return (count) => client.do("dials", { target, count, concurrency })
}

export const dials =
  (concurrency) =>
  async (server, client, { seconds }) => {
    const run = await prepared(server, client, concurrency)
    await warmUp(run, concurrency)
    return measured(server, client, await calibrate(run, seconds, 2 * concurrency), run)
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
