/**
 * Newcomers from the sources that it is told, in turn, that stay as they are until it is stopped: silent, or
 * `answered`, which is a valid hello and then nothing. So many a second; without a `rate`, each that it is told is
 * another so many. Says `ready` when it has begun.
 */
import net from "node:net"
import { clientOf, sleep } from "../wire.mjs"

export default async ({ answered, isStopped, onLine, rate, say, sources, stopped, target }) => {
  const hello = answered ? clientOf(target).next().value : undefined
  const sockets = new Set()
  let connections = 0
  let made = 0
  const open = () => {
    const localAddress = sources[made++ % sources.length]
    const socket = net.connect({ host: target.host, port: target.port, localAddress, noDelay: true })
    socket.on("connect", () => {
      connections++
      // The same again, to which it is no less valid.
      if (hello !== undefined) socket.write(hello)
    })
    socket.on("error", () => {})
    socket.on("close", () => sockets.delete(socket))
    socket.resume()
    sockets.add(socket)
  }
  const began = performance.now()
  say({ ready: true })
  if (rate === undefined) {
    onLine(({ count }) => {
      for (let i = 0; i < count; i++) open()
    })
    await stopped
  }
  while (!isStopped()) {
    const due = Math.floor(((performance.now() - began) * rate) / 1000)
    while (made < due) open()
    await sleep(5)
  }
  const seconds = (performance.now() - began) / 1000
  // Those may have come or not; where the server is late, it would be long until they knew.
  const undecided = [...sockets].filter(({ connecting }) => connecting).length
  const closing = [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)))
  for (const socket of sockets) socket.destroy()
  await Promise.all(closing)
  return { connections, undecided, perSecond: Math.round(made / seconds) }
}
