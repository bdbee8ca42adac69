/** Peers that authenticate and then do nothing, until it is stopped. Says `ready` when all are in or were refused. */
import { dial, times } from "../wire.mjs"

export default async ({ atOnce = 16, count, say, stopped, target }) => {
  const peers = []
  let refused = 0
  await times(count, atOnce, async () => {
    try {
      peers.push(await dial(target))
    } catch {
      refused++
    }
  })
  say({ ready: true, authenticated: peers.length, refused })
  await stopped
  const lost = peers.filter(({ raw }) => raw.over !== undefined).length
  for (const { raw } of peers) raw.destroy()
  return { connections: peers.length, refused, lost }
}
