/**
 * Peers in the middle of a transfer, which write and read as fast as it goes until the server says goodbye, and then
 * say theirs. With `deaf`, so many more that write and never read.
 */
import { connect, dial, inTime, sleep, times } from "../wire.mjs"

export default async ({ count, deaf = 0, say, silent = 0, target }) => {
  const body = Buffer.alloc(4096, "x")
  let goodbyes = 0
  let echoed = 0
  const cut = []
  const ends = []
  const unheard = []
  const transfer = async (isDeaf) => {
    const peer = await dial(target)
    const { raw, sealer } = peer
    let over = false
    const fill = () => {
      for (let i = 0; i < 8 && !over && !raw.socket.destroyed; i++) {
        if (!raw.write(sealer.box(body))) return
      }
      if (!over && !raw.socket.destroyed) setImmediate(fill)
    }
    raw.socket.on("drain", fill)
    fill()
    if (isDeaf) {
      raw.socket.pause()
      unheard.push(raw.socket)
      ends.push(new Promise((resolve) => raw.socket.once("close", resolve)))
      return
    }
    await peer.hear(body.length)
    ends.push(
      peer.rest().then(
        ({ how, plain }) => {
          over = true
          echoed += plain
          if (how !== "goodbye") return cut.push(how)
          goodbyes++
          raw.write(sealer.goodbye())
          raw.end()
          // What it still owes is to arrive.
          return raw.gone
        },
        (error) => cut.push(error.message)
      )
    )
  }
  await times(deaf, 8, () => transfer(true))
  // Until the kernels are full on both sides: the server has what it can't get rid of.
  const taken = () => unheard.reduce((total, socket) => total + socket.bytesWritten - socket.writableLength, 0)
  for (let before = -1; before !== taken(); await sleep(500)) before = taken()
  await times(count, 8, () => transfer(false))
  for (let i = 0; i < silent; i++) ends.push((await connect(target)).gone)
  say({ ready: true })
  await inTime(Promise.all(ends))
  return { connections: count + deaf + silent, goodbyes, echoed, cut }
}
