/** Node's duplex streams as connections: what net and tls share. */
import { once } from "node:events"

export const connection = (socket) => ({
  pump: async (chunk, count) => {
    for (let i = 0; i < count; i++) if (!socket.write(chunk)) await once(socket, "drain")
  },
  read: (onBytes) => void socket.on("data", (chunk) => onBytes(chunk.length)),
  send: (chunk) => void socket.write(chunk),
  close: () => void socket.end()
})

/** What a server does with a socket. Peers that are killed reset it: that is no news. */
export const serve = (mode, onBytes) => (socket) => {
  socket.on("error", () => {})
  if (mode === "sink") return void socket.on("data", (chunk) => onBytes(chunk.length))
  socket.on("data", (chunk) => {
    if (!socket.write(chunk)) socket.pause()
  })
  socket.on("drain", () => socket.resume())
}

export const listening = async (server) => {
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return server.address().port
}
