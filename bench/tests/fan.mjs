/** 100 B to 1,000 connections in one tick: until the last has it, and how far memory of the sender goes up. */
import { timed } from "../measure.mjs"

const count = 1000
const size = 100

export const fan = async (server, client) => {
  const target = await server.do("listen", { mode: "sink" })
  await client.do("dial", { target, count })
  const round = () => Promise.all([server.do("expect", { bytes: count * size }), client.do("fan", { size })])
  const { result, wall } = await timed(server, client, round)
  const peak = await client.do("peak")
  return { milliseconds: wall * 1000, peakMib: (peak - result[1]) / 2 ** 20 }
}
