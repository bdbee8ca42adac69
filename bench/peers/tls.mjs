/** node:tls, TLS 1.3 with an Ed25519 certificate, of the server alone or of both. */
import { once } from "node:events"
import { readFileSync } from "node:fs"
import tls from "node:tls"
import { connection, listening, serve } from "./streams.mjs"

const fixture = (name) => readFileSync(new URL(`../fixtures/${name}`, import.meta.url))

export const make = async ({ ciphers, mutual = false }) => {
  const own = { key: fixture("tls.key"), cert: fixture("tls.crt") }
  const common = { ca: own.cert, ciphers, minVersion: "TLSv1.3", noDelay: true }
  const server = { ...common, ...own, requestCert: mutual, rejectUnauthorized: mutual }
  // Made once, as a program that dials often would.
  const secureContext = tls.createSecureContext(mutual ? { ...common, ...own } : common)
  return {
    listen: (mode, onBytes) => listening(tls.createServer(server, serve(mode, onBytes))),
    dial: async (port) => {
      const socket = tls.connect({ host: "127.0.0.1", port, servername: "localhost", secureContext })
      socket.setNoDelay(true)
      await once(socket, "secureConnect")
      return connection(socket)
    }
  }
}
