/** What a child does for the orchestrator: the same for a server and for a client of any peer. */
import { readFileSync, writeFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { cpuSeconds } from "./measure.mjs"

/** Counts what arrives and tells when an amount is there. */
const meter = () => {
  let received = 0
  let expected = 0
  let reached
  return {
    add: (bytes) => {
      received += bytes
      if (received >= expected) reached?.()
    },
    expect: (bytes) => {
      expected += bytes
      if (received >= expected) return undefined
      return new Promise((resolve) => {
        reached = resolve
      })
    }
  }
}

/** `count` tasks, so many at once. */
const atOnce = async (concurrency, count, task) => {
  let started = 0
  const worker = async () => {
    while (started < count) {
      started++
      await task()
    }
  }
  await Promise.all(Array.from({ length: Math.min(concurrency, count) }, worker))
}

const percentile = (sorted, p) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))]

/**
 * Everything that can be: V8's empty young generation too, tens of megabytes that a process gives back by itself when
 * it has been idle for a while.
 */
const collectGarbage = async () => {
  setFlagsFromString("--expose-gc")
  const gc = runInNewContext("gc")
  for (let i = 0; i < 4; i++) {
    gc({ type: "major", execution: "sync", flavor: "last-resort" })
    await setTimeout(50)
  }
}

const peakRss = () => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))[1]) * 1024

export const operations = (peer) => {
  const { add, expect } = meter()
  const connections = []

  const pingPong = (connection, chunk, count, lap) =>
    new Promise((resolve) => {
      let missing = chunk.length
      let left = count
      connection.read((bytes) => {
        missing -= bytes
        if (missing > 0) return
        missing = chunk.length
        lap()
        if (--left === 0) resolve()
        else connection.send(chunk)
      })
      connection.send(chunk)
    })

  const dialOnce = (target, byte) =>
    peer.dial(target).then(
      (connection) =>
        new Promise((resolve) => {
          connection.read(() => {
            connection.close()
            resolve()
          })
          connection.send(byte)
        })
    )

  return {
    listen: ({ mode }) => peer.listen(mode, add),
    /** Opens connections and keeps them; `read` counts what arrives on them. */
    dial: ({ target, count = 1, read = false }) =>
      atOnce(64, count, async () => {
        const connection = await peer.dial(target)
        if (read) connection.read(add)
        connections.push(connection)
      }),
    hangUp: async () => {
      await Promise.all(connections.splice(0).map((connection) => connection.close()))
    },
    /** Resolves when so many more bytes have arrived. */
    expect: ({ bytes }) => expect(bytes),
    pump: ({ size, count, connection = 0 }) => connections[connection].pump(Buffer.alloc(size, 1), count),
    cpu: cpuSeconds,
    ping: async ({ target, size, count }) => {
      const samples = []
      // A new one each time: it has one reader.
      const connection = await peer.dial(target)
      let last = performance.now()
      const lap = () => {
        const now = performance.now()
        samples.push((now - last) * 1000)
        last = now
      }
      await (peer.ping ?? pingPong)(connection, Buffer.alloc(size, 1), count, lap)
      connection.close()
      samples.sort((a, b) => a - b)
      return { p50: percentile(samples, 0.5), p90: percentile(samples, 0.9), p99: percentile(samples, 0.99) }
    },
    dials: ({ target, count, concurrency }) => {
      const byte = Buffer.alloc(1, 1)
      return peer.dials === undefined
        ? atOnce(concurrency, count, () => dialOnce(target, byte))
        : peer.dials(target, byte, count, concurrency)
    },
    /** The only place where garbage is collected on demand: never between two readings of the CPU clock. */
    memory: async () => {
      await collectGarbage()
      const { heapUsed, rss } = process.memoryUsage()
      return { heap: heapUsed, rss }
    },
    /** One message to every connection in one tick. Linux counts the peak of memory from here. */
    fan: async ({ size }) => {
      const chunk = Buffer.alloc(size, 1)
      writeFileSync("/proc/self/clear_refs", "5")
      const before = process.memoryUsage.rss()
      if (peer.fan) await peer.fan(connections, chunk)
      else for (const connection of connections) connection.send(chunk)
      return before
    },
    peak: () => peakRss()
  }
}
