/**
 * Sockets that say nothing: over ws half of them, and over wss some, once they are WebSockets. So many a second, until
 * there have been `count`, then they are held until it is stopped. Without a `rate`, each that it is told is another so
 * many.
 */
import net from "node:net"
import tls from "node:tls"
import { request } from "../websocket.mjs"
import { sleep, transportOf } from "../wire.mjs"

export default async ({ count, isStopped, onLine, rate, say, stopped, target }) => {
  const sockets = new Set()
  const decided = []
  let opened = 0
  let refused = 0
  let closed = 0
  const transport = transportOf(target.stack)
  /** A handshake of TLS costs the attacker much. */
  const everySo = { net: Number.POSITIVE_INFINITY, ws: 2, wss: 16 }[transport]
  let begun = 0
  const upgrade = (socket) => {
    if (transport === "ws") return socket.resume().write(request(target))
    const secure = tls.connect({ socket, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] })
    secure.on("error", () => {})
    secure.once("secureConnect", () => secure.resume().write(request(target)))
  }
  const open = () => {
    const socket = net.connect({ host: target.host, port: target.port })
    const upgrades = begun++ % everySo === 0
    let connected = false
    socket.on("connect", () => {
      connected = true
      opened++
      if (upgrades) upgrade(socket)
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      sockets.delete(socket)
      if (connected) closed++
      else refused++
    })
    if (!upgrades) socket.resume()
    sockets.add(socket)
    decided.push(new Promise((resolve) => socket.once("connect", resolve).once("close", resolve)))
  }
  if (rate === undefined) {
    onLine((order) => {
      for (let made = 0; made < order.count; made++) open()
    })
  } else {
    const began = performance.now()
    for (let made = 0; made < count && !isStopped(); ) {
      const due = Math.min(count, Math.floor(((performance.now() - began) * rate) / 1000))
      for (; made < due; made++) open()
      await sleep(10)
    }
  }
  say({ ready: true })
  await stopped
  await Promise.all(decided)
  const left = sockets.size
  const closing = [...sockets].map((socket) => new Promise((resolve) => socket.once("close", resolve)))
  for (const socket of sockets) socket.destroy()
  await Promise.all(closing)
  return { connections: opened, refused, closed, left }
}
