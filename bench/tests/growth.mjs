/** Transfers from 1 MiB to 4 GiB, each on connections of its own that are open before: CPU per GiB stays what it is. */
import { gibibyte, timed } from "../measure.mjs"

const mebibyte = 2 ** 20
const size = 2 ** 16
const sizes = [1, 16, 256, 4096]
/** Small ones are repeated until the clock can see them. */
const least = 256

export const growingTransfers = async (server, client) => {
  const target = await server.do("listen", { mode: "sink" })
  const transfer = async (bytes, connections) => {
    await client.do("dial", { target, count: connections })
    const { client: clientCpu, server: serverCpu } = await timed(server, client, async () => {
      for (let connection = 0; connection < connections; connection++) {
        const arrived = server.do("expect", { bytes })
        await Promise.all([arrived, client.do("pump", { size, count: bytes / size, connection })])
      }
    })
    await client.do("hangUp")
    return (clientCpu + serverCpu) / ((bytes * connections) / gibibyte)
  }
  await transfer(least * mebibyte, 1)
  const figures = {}
  for (const each of sizes) {
    figures[`cpuPerGibAt${each}MiB`] = await transfer(each * mebibyte, Math.max(1, least / each))
  }
  return { ...figures, growth: figures.cpuPerGibAt4096MiB / figures.cpuPerGibAt256MiB }
}
