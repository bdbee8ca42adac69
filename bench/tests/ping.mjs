/** A message there and back, one at a time. */
import { calibrate, costOf } from "../measure.mjs"

const size = 32

export const ping = async (server, client, { seconds, waits }) => {
  const target = await server.do("listen", { mode: "echo" })
  const run = (count) => client.do("ping", { target, size, count })
  return run(await calibrate(costOf(server, client, waits, run), seconds, 4))
}
