/**
 * Damages streams after their handshake, one kind after the other, and hears whether the server ends as if all was
 * well. After each kind it says so, and waits for a line.
 */
import { ofTheNetwork, ofThePeer } from "../damages.mjs"
import { dial, inTime, protocolOf, times } from "../wire.mjs"

export default async ({ onLine, rounds, say, target }) => {
  const protocol = protocolOf(target.stack)
  const kinds = Object.entries({ ...ofTheNetwork(protocol), ...ofThePeer(protocol) })
  let goOn
  onLine(() => goOn())
  for (const [kind, damage] of kinds) {
    let goodbyes = 0
    let open = 0
    await times(rounds, 4, async () => {
      const peer = await dial(target, { resets: true })
      peer.say("first")
      await peer.hear(5)
      await damage(peer)
      const { how } = (await inTime(peer.rest().catch(() => ({ how: "garbled" })))) ?? {}
      if (how === "goodbye") goodbyes++
      if (how === undefined) open++
      peer.raw.destroy()
    })
    const next = new Promise((resolve) => {
      goOn = resolve
    })
    say({ kind, goodbyes, open })
    await next
  }
  say({ kind: null, goodbyes: 0, open: 0 })
  return { connections: rounds * kinds.length }
}
