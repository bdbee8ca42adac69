/** The package `ws` by itself, the version that this package uses: what a WebSocket costs without anything above it. */
import { once } from "node:events"
import { require } from "../ours.mjs"

const { WebSocket, WebSocketServer } = require("ws")

const plain = { perMessageDeflate: false }

/** How much may wait in a socket: as much as Node's own streams take before they say so. */
const most = 64 * 1024

/** Writes that wait where too much does; `undefined` where nothing has to wait. */
const sent = (ws, chunk) => {
  if (ws.bufferedAmount < most) return void ws.send(chunk)
  return new Promise((resolve) => ws.send(chunk, resolve))
}

const serve = (mode, onBytes) => (ws) => {
  ws.on("error", () => {})
  if (mode === "sink") return void ws.on("message", ({ length }) => onBytes(length))
  ws.on("message", (chunk) => {
    const wait = sent(ws, chunk)
    if (wait === undefined || ws.isPaused) return
    ws.pause()
    wait.then(() => ws.resume())
  })
}

export const make = async () => ({
  listen: async (mode, onBytes) => {
    const server = new WebSocketServer({ ...plain, host: "127.0.0.1", port: 0 })
    server.on("connection", serve(mode, onBytes))
    await once(server, "listening")
    return `ws://127.0.0.1:${server.address().port}`
  },
  dial: async (target) => {
    const ws = new WebSocket(target, plain)
    await once(ws, "open")
    ws.on("error", () => {})
    return {
      pump: async (chunk, count) => {
        for (let i = 0; i < count; i++) {
          const wait = sent(ws, chunk)
          if (wait !== undefined) await wait
        }
      },
      read: (onBytes) => void ws.on("message", ({ length }) => onBytes(length)),
      send: (chunk) => void ws.send(chunk),
      close: () => void ws.close()
    }
  }
})
