/**
 * One way, as fast as it goes: the server acknowledges by counting bytes. `echo`: back again, and the client counts.
 */
import { calibrate, costOf, gibibyte, timed } from "../measure.mjs"

const transfer =
  (size, echo) =>
  async (server, client, { seconds, waits }) => {
    const target = await server.do("listen", { mode: echo ? "echo" : "sink" })
    await client.do("dial", { target, read: echo })
    const receiver = echo ? client : server
    const send = (count) =>
      Promise.all([receiver.do("expect", { bytes: count * size }), client.do("pump", { size, count })])
    const count = await calibrate(costOf(server, client, waits, send), seconds, Math.max(16, Math.ceil(2 ** 18 / size)))
    // The first such run grows V8's young generation, once in the life of a process: page faults that are not the
    // peer's.
    await send(count)
    const { client: clientCpu, server: serverCpu, wall } = await timed(server, client, () => send(count))
    const gib = (count * size) / gibibyte
    return {
      mbPerSecond: (count * size) / 1e6 / wall,
      messagesPerSecond: count / wall,
      clientCpuPerGib: clientCpu / gib,
      serverCpuPerGib: serverCpu / gib,
      cpuPerGib: (clientCpu + serverCpu) / gib
    }
  }

export const bulk = (size) => transfer(size, false)
export const echo = (size) => transfer(size, true)
