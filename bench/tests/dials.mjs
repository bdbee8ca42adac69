/** Connect, handshake, one byte there and back. */
import { calibrate, costOf, timed } from "../measure.mjs"

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
 * A thousand dials of every peer, whatever they take: what V8 does at once for code that runs is done then, hundreds
 * wouldn't do. It goes on compiling for speed until some 10,000 are done (docs/performance.md). Of a peer that mostly
 * waits, what matters doesn't get faster.
 */
const warmUp = (run, concurrency, waits) => run(waits ? concurrency : 1000)

const prepared = async (server, client, concurrency) => {
  const target = await server.do("listen", { mode: "echo" })
  return (count) => client.do("dials", { target, count, concurrency })
}

export const dials =
  (concurrency) =>
  async (server, client, { seconds, waits }) => {
    const run = await prepared(server, client, concurrency)
    const cost = costOf(server, client, waits, run)
    await warmUp(run, concurrency, waits)
    return measured(server, client, await calibrate(cost, seconds, 2 * concurrency), run)
  }

const few = 8
const many = 512

/**
 * Eight and 512 at once in one pair of processes: the CPU of a dial stays what it is. They take turns forth and back,
 * because a process gets faster, and the machine changes.
 */
export const growingDials = async (server, client, { seconds }) => {
  const target = await server.do("listen", { mode: "echo" })
  const run = (concurrency) => (count) => client.do("dials", { target, count, concurrency })
  const cost = costOf(server, client, false, run(64))
  await warmUp(run(64), 64, false)
  const count = Math.max(2 * many, await calibrate(cost, seconds, 128))
  const micros = { [few]: 0, [many]: 0 }
  for (const concurrency of [few, many, many, few]) {
    const { cpuMicros } = await measured(server, client, count, run(concurrency))
    micros[concurrency] += cpuMicros / 2
  }
  return { cpuMicrosAt8: micros[few], cpuMicrosAt512: micros[many], growth: micros[many] / micros[few] }
}
