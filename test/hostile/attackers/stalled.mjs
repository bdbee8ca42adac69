/** Peers that write as much as is taken and never read what is echoed, until it is stopped. */
import { dial, times } from "../wire.mjs"

export default async ({ count, say, stopped, target }) => {
  const peers = []
  let taken = 0
  await times(count, 8, async () => {
    const peer = await dial(target)
    peers.push(peer)
    peer.raw.socket.pause()
    const body = Buffer.alloc(4096)
    const fill = () => {
      let more = true
      for (let i = 0; i < 64 && more && !peer.raw.socket.destroyed; i++) {
        more = peer.raw.write(peer.sealer.box(body))
        taken += body.length
      }
      if (more) setImmediate(fill)
    }
    peer.raw.socket.on("drain", fill)
    fill()
  })
  say({ ready: true })
  await stopped
  for (const { raw } of peers) raw.destroy()
  return { connections: count, taken }
}
