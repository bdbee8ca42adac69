/** @hyperswarm/secret-stream over node:net, Noise IK: the dialer knows the listener's key, as in shs. */
import { once } from "node:events"
import net from "node:net"
import SecretStream from "@hyperswarm/secret-stream"
import { connection, listening, serve } from "./streams.mjs"

const noDelay = { noDelay: true }

export const make = async () => {
  const keyPair = SecretStream.keyPair()
  return {
    listen: async (mode, onBytes) => {
      const serveSocket = serve(mode, onBytes)
      const server = net.createServer(noDelay, (socket) =>
        serveSocket(new SecretStream(false, socket, { pattern: "IK", keyPair }))
      )
      return { port: await listening(server), publicKey: keyPair.publicKey.toString("hex") }
    },
    dial: async ({ port, publicKey }) => {
      const socket = net.connect({ host: "127.0.0.1", port, ...noDelay })
      const remotePublicKey = Buffer.from(publicKey, "hex")
      const stream = new SecretStream(true, socket, { pattern: "IK", keyPair, remotePublicKey })
      stream.on("error", () => {})
      await once(stream, "connect")
      return connection(stream)
    }
  }
}
