// An echo server on npm multiserver, net~shs: says its address on stdout, and ends with its stdin.
import { generateKeyPairSync } from "node:crypto"
import MultiServer from "multiserver"
import net from "multiserver/plugins/net.js"
import shs from "multiserver/plugins/shs.js"
import pull from "pull-stream"

const { d, x } = generateKeyPairSync("ed25519").privateKey.export({ format: "jwk" })
const publicKey = Buffer.from(x, "base64url")
const keys = { publicKey, secretKey: Buffer.concat([Buffer.from(d, "base64url"), publicKey]) }
const appKey = "1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s="

/** It can't ask the system for a free port: it tries one after the other. */
const listen = (port) => {
  const server = MultiServer([
    [net({ port, host: "127.0.0.1" }), shs({ keys, appKey, auth: (_key, callback) => callback(null, true) })]
  ])
  server.server(
    (stream) => pull(stream, stream),
    () => {},
    (error) => {
      if (error) listen(port + 1)
      else console.log(server.stringify())
    }
  )
}
listen(10_000 + Math.floor(Math.random() * 20_000))
process.stdin.resume().on("end", () => process.exit(0))
