/**
 * A plain WebSocket peer on `ws`, which knows nothing of multiserver. It takes the commands and tells the events that
 * its neighbour does: {"serve": {}}, {"dial": {address, body}}. As a server it echoes messages; as a client it closes
 * when all has come back.
 */
import { createHash } from "node:crypto"
import { WebSocket, WebSocketServer } from "ws"
import { obey } from "../../support/peerProcess.mjs"

const total = (chunks) => {
  const bytes = Buffer.concat(chunks)
  return { bytes: bytes.length, sha256: createHash("sha256").update(bytes).digest("hex") }
}

const talk = (say, ws, sent, onMessage) => {
  const received = []
  ws.on("message", (data, isBinary) => {
    if (!isBinary) throw new Error("a text message")
    received.push(data)
    onMessage(
      data,
      received.reduce((sum, { length }) => sum + length, 0)
    )
  })
  ws.on("error", (error) => say({ event: "failed", error: error.message }))
  ws.on("close", (code) => {
    const error = code === 1000 || code === 1005 ? null : String(code)
    say({ event: "exchanged", remote: null, received: total(received), sent: total(sent), error })
  })
}

obey(({ dial, serve }, say) => {
  if (serve) {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 }, () =>
      say({ event: "listening", address: `ws://127.0.0.1:${server.address().port}` })
    )
    server.on("connection", (ws) => {
      const sent = []
      talk(say, ws, sent, (data) => {
        sent.push(data)
        ws.send(data)
      })
    })
  } else {
    const body = Buffer.alloc(dial.body.bytes, "body")
    const ws = new WebSocket(dial.address)
    talk(say, ws, [body], (_, received) => received === body.length && ws.close(1000))
    ws.on("open", () => ws.send(body))
  }
})
