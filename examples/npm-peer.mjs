// The npm package multiserver in a process of its own: dials ADDRESS with the key in the secret file KEYS, sends BYTES
// random bytes, and says on stdout what it sent and what came back, as JSON. A failure ends it with an error and exit
// code 1.
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import MultiServer from "multiserver"
import net from "multiserver/plugins/net.js"
import shs from "multiserver/plugins/shs.js"
import pull from "pull-stream"
import ssbKeys from "ssb-keys"

const [address, keyFile, bytes] = process.argv.slice(2)
const mainNetwork = "1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s="

/** As secret-stack does it: sodium takes bytes, the file holds base64. */
const sodiumKeys = ({ private: secret, public: key }) => ({
  publicKey: Buffer.from(key.replace(".ed25519", ""), "base64"),
  secretKey: Buffer.from(secret.replace(".ed25519", ""), "base64")
})

/** Bytes and a hash of what passes. */
const meter = () => {
  const hash = createHash("sha256")
  let total = 0
  return {
    add: (chunk) => {
      hash.update(chunk)
      total += chunk.length
    },
    result: () => ({ bytes: total, sha256: hash.digest("hex") })
  }
}

const orDie = (error) => {
  if (error === null || error === undefined || error === true) return
  console.error(String(error))
  process.exit(1)
}

const peer = MultiServer([
  [
    net({ port: 1 }),
    shs({
      keys: sodiumKeys(ssbKeys.loadSync(keyFile)),
      appKey: mainNetwork,
      auth: (_key, callback) => callback(null, true)
    })
  ]
])

peer.client(address, (error, stream) => {
  orDie(error)
  const sent = meter()
  const received = meter()
  let left = Number(bytes)
  const random = (end, callback) => {
    if (end || left === 0) return callback(end || true)
    const chunk = randomBytes(Math.min(left, 64 * 1024))
    left -= chunk.length
    sent.add(chunk)
    callback(null, chunk)
  }
  pull(
    random,
    stream,
    pull.drain(received.add, (error) => {
      orDie(error)
      const manifest = new URL(import.meta.resolve("multiserver/package.json"))
      const { version } = JSON.parse(readFileSync(manifest, "utf8"))
      console.log(JSON.stringify({ version, sent: sent.result(), received: received.result() }))
      process.exit(0)
    })
  )
})
