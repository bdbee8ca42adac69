/**
 * A peer on npm multiserver. It does what the JSON lines on its stdin say and tells what happens in JSON lines on its
 * stdout:
 *
 * {"serve": {stack, reply, ...}}     ->  listening; then for each connection answering (reply whole) and exchanged, or
 * failed {"dial": {address, body, ...}}     ->  exchanged or failed
 *
 * Both take `seed` (its identity) and `appKey`, `serve` also `allow` (public keys), all base64.
 */
import { createHash } from "node:crypto"
import MultiServer from "multiserver"
import Net from "multiserver/plugins/net.js"
import Noauth from "multiserver/plugins/noauth.js"
import Onion from "multiserver/plugins/onion.js"
import Shs from "multiserver/plugins/shs.js"
import Unix from "multiserver/plugins/unix-socket.js"
import pull from "pull-stream"
import { obey } from "../../support/peerProcess.mjs"

/** Counts and hashes what passes. */
const tally = (onEnd) => {
  const hash = createHash("sha256")
  let bytes = 0
  return {
    through: pull.through((chunk) => {
      bytes += chunk.length
      hash.update(chunk)
    }, onEnd),
    total: () => ({ bytes, sha256: hash.digest("hex") })
  }
}

const exchanged = (say, stream, received, sent, error) =>
  say({
    event: "exchanged",
    remote: stream.remote === undefined ? null : stream.remote.toString("base64"),
    received: received.total(),
    sent: sent.total(),
    error: error ? String(error) : null
  })

const multiserver = (stack, port, { seed, appKey, allow, directory }) => {
  const [transport, transform] = stack.split("~")
  // Without shs, net needs the half close, or the plugin drops what it owes when our FIN comes. Under shs our goodbye
  // is no FIN.
  const net = () => Net({ host: "127.0.0.1", port, allowHalfOpen: transform !== "shs" })
  const transports = { net, unix: () => Unix({ path: directory }), onion: () => Onion({}) }
  const under = transports[transport]()
  const auth = (id, callback) => callback(null, allow === undefined || allow.includes(id.toString("base64")))
  const transforms = {
    shs: () => Shs({ seed: Buffer.from(seed, "base64"), appKey, auth }),
    noauth: () => Noauth({ keys: { publicKey: Buffer.alloc(32, 1) } })
  }
  return MultiServer([transform === undefined ? [under] : [under, transforms[transform]()]])
}

// ---- as a server ----

const replies = {
  /** Writes what arrives as it arrives. */
  stream: (stream, say) => {
    const received = tally()
    const sent = tally((error) => exchanged(say, stream, received, sent, error))
    pull(stream.source, received.through, sent.through, stream.sink)
  },
  /** Reads to the end before it writes the first byte: everything is owed when the end comes. */
  whole: (stream, say) => {
    const received = tally()
    const collected = pull.collect((error, chunks) => {
      const sent = tally(() => setImmediate(exchanged, say, stream, received, sent, error))
      pull(error ? pull.error(error) : pull.values(chunks), sent.through, stream.sink)
      // The pipe has all that it takes. `exchanged` comes later, even if that was everything.
      say({ event: "answering" })
    })
    pull(stream.source, received.through, collected)
  }
}

const serve = (options, say) => {
  const server = multiserver(options.stack, 10_000 + Math.floor(Math.random() * 22_000), options)
  server.server(
    (stream) => replies[options.reply](stream, say),
    (error) => say({ event: "failed", error: error.message }),
    (error) => {
      if (error?.code === "EADDRINUSE") serve(options, say)
      else if (error) throw error
      else say({ event: "listening", address: server.stringify() })
    }
  )
}

// ---- as a client ----

const randomFrom = (seed) => {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** A body that can be made again, in pieces of random sizes. */
const makeBody = ({ bytes, seed }) => {
  const random = randomFrom(seed)
  const body = Buffer.alloc(bytes).map(() => random(256))
  const pieces = []
  for (let at = 0; at < bytes; at += pieces.at(-1).length) {
    pieces.push(body.subarray(at, at + 1 + random([10, 1000, 100_000][random(3)])))
  }
  return pieces
}

/**
 * A source that ends only when as many bytes have come back: where an end of one side is the end of both, as in Tor.
 */
const patience = (bytes) => {
  let missing = bytes
  let waiting
  return {
    after: (pieces) => {
      const source = pull.values(pieces)
      return (abort, callback) =>
        source(abort, (end, piece) => {
          if (end !== true || missing === 0) return callback(end, piece)
          waiting = callback
        })
    },
    count: (length) => {
      missing -= length
      if (missing === 0) waiting?.(true)
    }
  }
}

const dial = (options, say) => {
  const names = options.address.split("~").map((section) => section.split(":")[0])
  const client = multiserver(names.join("~"), undefined, options)
  client.client(options.address, (error, stream) => {
    if (error) return say({ event: "failed", error: error.message })
    const sent = tally()
    const received = tally()
    const body = makeBody(options.body)
    const echoed = options.body.patient ? patience(options.body.bytes) : undefined
    pull(echoed === undefined ? pull.values(body) : echoed.after(body), sent.through, stream.sink)
    pull(
      stream.source,
      received.through,
      pull.through((chunk) => echoed?.count(chunk.length)),
      pull.onEnd((error) => exchanged(say, stream, received, sent, error))
    )
  })
}

obey((command, say) => {
  if (command.serve) serve(command.serve, say)
  else dial(command.dial, say)
})
