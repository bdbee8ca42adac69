/**
 * Transfers of 16 MiB and of 4 GiB, each on connections of its own that are open before: CPU per GiB stays what it is.
 * The short ones are measured before and after the long one, because the machine changes meanwhile.
 */
import { gibibyte, timed } from "../measure.mjs"

const mebibyte = 2 ** 20
const size = 2 ** 16
const short = { bytes: 16 * mebibyte, count: 32 }
const long = { bytes: 4096 * mebibyte, count: 1 }

export const growingTransfers = async (server, client) => {
  const target = await server.do("listen", { mode: "sink" })
  const cpuPerGib = async ({ bytes, count }) => {
    await client.do("dial", { target, count })
    const { client: clientCpu, server: serverCpu } = await timed(server, client, async () => {
      for (let connection = 0; connection < count; connection++) {
        const arrived = server.do("expect", { bytes })
        await Promise.all([arrived, client.do("pump", { size, count: bytes / size, connection })])
      }
    })
    await client.do("hangUp")
    return (clientCpu + serverCpu) / ((bytes * count) / gibibyte)
  }
  await cpuPerGib(short)
  const before = await cpuPerGib(short)
  const cpuPerGibAt4096MiB = await cpuPerGib(long)
  const cpuPerGibAt16MiB = (before + (await cpuPerGib(short))) / 2
  return { cpuPerGibAt16MiB, cpuPerGibAt4096MiB, growth: cpuPerGibAt4096MiB / cpuPerGibAt16MiB }
}
