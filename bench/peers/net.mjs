/** node:net, plain TCP. */
import { once } from "node:events"
import net from "node:net"
import { connection, listening, serve } from "./streams.mjs"

const noDelay = { noDelay: true }

export const make = async () => ({
  listen: (mode, onBytes) => listening(net.createServer(noDelay, serve(mode, onBytes))),
  dial: async (port) => {
    const socket = net.connect({ host: "127.0.0.1", port, ...noDelay })
    await once(socket, "connect")
    return connection(socket)
  }
})
