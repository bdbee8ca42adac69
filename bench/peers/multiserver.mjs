/** npm multiserver, with pull-streams as its users write them. */
import { randomBytes } from "node:crypto"
import pull from "pull-stream"
import { forceNoDelay } from "./nodelay.mjs"

/** A source for what is sent over time: `pump` resolves when the sink has asked for more than there is. */
const outgoing = () => {
  let asked
  let ended = false
  let chunk
  let left = 0
  let accepted
  const source = (abort, callback) => {
    if (abort || (ended && left === 0)) return callback(abort || true)
    if (left > 0) {
      left--
      return callback(null, chunk)
    }
    asked = callback
    accepted?.()
  }
  const go = () => {
    const callback = asked
    if (callback === undefined) return
    asked = undefined
    source(null, callback)
  }
  return {
    source,
    pump: (next, count) =>
      new Promise((resolve) => {
        accepted = resolve
        chunk = next
        left += count
        go()
      }),
    end: () => {
      ended = true
      go()
    }
  }
}

const connection = (stream) => {
  const { end, pump, source } = outgoing()
  pull(source, stream.sink)
  return {
    pump,
    read: (onBytes) =>
      pull(
        stream.source,
        pull.drain(
          (chunk) => onBytes(chunk.length),
          () => {}
        )
      ),
    send: (chunk) => void pump(chunk, 1),
    close: end
  }
}

/** Its peers are told apart by their keys; everybody may come in. */
const plugins = async (transport, port) => {
  // It would take Node's own WebSocket, which it does not know.
  if (transport === "ws") delete globalThis.WebSocket
  const { default: Transport } = await import(`multiserver/plugins/${transport}.js`)
  const { default: Shs } = await import("multiserver/plugins/shs.js")
  const shs = Shs({ seed: randomBytes(32), appKey: Buffer.alloc(32, 7), auth: (_id, callback) => callback(null, true) })
  const { default: multiserver } = await import("multiserver")
  return multiserver([[Transport({ host: "127.0.0.1", port }), shs]])
}

/** It can't listen on port 0. */
const anyPort = () => 10_000 + Math.floor(Math.random() * 22_000)

const listen = async (transport, serve) => {
  const server = await plugins(transport, anyPort())
  const error = await new Promise((resolve) =>
    server.server(
      serve,
      () => {},
      (error) => resolve(error === true ? null : error)
    )
  )
  if (error?.code === "EADDRINUSE") return listen(transport, serve)
  if (error) throw error
  return server.stringify()
}

export const make = async ({ nodelay = false, transport = "net" }) => {
  if (nodelay) forceNoDelay()
  const client = await plugins(transport, anyPort())
  return {
    listen: (mode, onBytes) =>
      listen(transport, (stream) => {
        if (mode === "sink") connection(stream).read(onBytes)
        else pull(stream.source, stream.sink)
      }),
    dial: (address) =>
      new Promise((resolve, reject) =>
        client.client(address, (error, stream) => (error ? reject(error) : resolve(connection(stream))))
      )
  }
}
