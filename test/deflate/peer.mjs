/** A peer that has nothing from here: echoes over TCP what it inflates, flushed at each write, with zlib's defaults. */
import * as net from "node:net"
import { constants, createDeflateRaw, createInflateRaw } from "node:zlib"

const server = net.createServer({ allowHalfOpen: true }, (socket) => {
  const compress = createDeflateRaw({ flush: constants.Z_SYNC_FLUSH })
  socket.pipe(createInflateRaw()).pipe(compress).pipe(socket)
  socket.on("error", () => {})
})
server.listen(0, "127.0.0.1", () => {
  const address = `net:127.0.0.1:${server.address().port}~deflate`
  console.log(JSON.stringify({ event: "listening", address }))
})
