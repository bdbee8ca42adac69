/**
 * Peers that each send one message, as long as it may be, and read nothing: of half of them the last byte never comes.
 * Says so when no more of it is taken, and holds them until it is stopped.
 */
import { frame } from "../websocket.mjs"
import { connect, sleep, times } from "../wire.mjs"

export default async ({ count, length, say, stopped, target }) => {
  const message = frame(Buffer.alloc(length, 1))
  const raws = []
  let connections = 0
  const opened = () => connections++
  await times(count, 8, async (i) => {
    const raw = await connect(target, { opened })
    raw.socket.pause()
    raw.send(message.subarray(0, i % 2 === 0 ? message.length : message.length - 1))
    raws.push(raw)
  })
  const waiting = () => raws.reduce((total, { socket }) => total + (socket.destroyed ? 0 : socket.writableLength), 0)
  for (let before = -1; before !== waiting(); await sleep(1500)) before = waiting()
  say({ ready: true, cut: raws.filter(({ over, socket }) => over !== undefined || socket.destroyed).length })
  await stopped
  for (const raw of raws) raw.destroy()
  return { connections }
}
