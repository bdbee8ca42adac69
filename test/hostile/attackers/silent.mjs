/**
 * Sockets that say nothing: so many a second, until there have been `count`, then they are held until stdin ends. With `renew`, one
 * that was closed makes place for another, so that as many as may be are there.
 */
import net from "node:net"
import { run, sleep } from "../wire.mjs"

run(async ({ count, isStopped, rate, say, stopped, target }) => {
  const sockets = new Set()
  let opened = 0
  let refused = 0
  let closed = 0
  const open = () => {
    const socket = net.connect({ host: target.host, port: target.port })
    let connected = false
    socket.on("connect", () => {
      connected = true
      opened++
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      if (connected) closed++
      else refused++
    })
    socket.resume()
    sockets.add(socket)
  }
  const began = performance.now()
  for (let made = 0; made < count && !isStopped(); ) {
    const due = Math.min(count, Math.floor(((performance.now() - began) * rate) / 1000))
    for (; made < due; made++) open()
    await sleep(10)
  }
  say({ ready: true })
  await stopped
  const left = sockets.size
  for (const socket of sockets) socket.destroy()
  await sleep(100)
  return { connections: opened, refused, closed, left }
})
