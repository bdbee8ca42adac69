/** A message there and back, one at a time. */
import { calibrate, costOf } from "../measure.mjs"

const size = 32

/**
 * Pings of every peer before it is measured: V8 compiles for speed until some 10,000 are done, and a connection that is
 * used has them soon. Of a peer that mostly waits, what matters doesn't get faster.
 */
const warmUp = 10_000

export const ping = async (server, client, { seconds, waits }) => {
  const target = await server.do("listen", { mode: "echo" })
  const run = (count) => client.do("ping", { target, size, count })
  if (!waits) await run(warmUp)
  return run(await calibrate(costOf(server, client, waits, run), seconds, 4))
}
