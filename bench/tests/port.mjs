/**
 * Over message ports, between a thread and its worker: 64 KiB one way, and 32 B there and back. One process has both
 * sides, and its CPU time is that of both.
 */
import { Worker } from "node:worker_threads"
import { calibrate, cpuSeconds, gibibyte } from "../measure.mjs"
import { rowOf } from "../peers/registry.mjs"

export const port = (child, { peer, seconds }) =>
  child.do("alone", { path: import.meta.url, peer: rowOf(peer), seconds })

const size = 2 ** 16
const small = new Uint8Array(32)

/** How each row's thread speaks with its worker: `send` so many chunks, until the worker has them, and `ping`. */
const modules = { messageport: "messageport", "ours-port": "ours", "ours-port-noise": "ours" }

export const alone = async ({ peer, seconds }) => {
  const { dial } = await import(`../ports/${modules[peer]}.mjs`)
  const workerData = { stack: peer.endsWith("noise") ? "port~noise" : "port" }
  const worker = new Worker(new URL(`../ports/${modules[peer]}.mjs`, import.meta.url), { workerData })
  try {
    const { ping, send } = await dial(worker, workerData)
    const timed = async (work) => {
      const [cpu, began] = [cpuSeconds(), performance.now()]
      await work()
      return { cpu: cpuSeconds() - cpu, wall: (performance.now() - began) / 1000 }
    }
    const cost = (work) => async (count) => (await timed(() => work(count))).cpu
    const bulk = (count) => send(size, count)
    const count = await calibrate(cost(bulk), seconds, 16)
    await bulk(count)
    const { cpu, wall } = await timed(() => bulk(count))
    const times = []
    const pings = async (count) => {
      for (let i = 0; i < count; i++) {
        const began = performance.now()
        await ping(small)
        times.push(performance.now() - began)
      }
    }
    const laps = await calibrate(cost(pings), seconds / 2, 64)
    times.length = 0
    await pings(laps)
    times.sort((a, b) => a - b)
    const bytes = size * count
    return {
      mbPerSecond: bytes / 1e6 / wall,
      cpuPerGib: (cpu * gibibyte) / bytes,
      p50: 1000 * times[Math.floor(laps / 2)]
    }
  } finally {
    await worker.terminate()
  }
}
