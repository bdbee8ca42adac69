/**
 * A peer on npm multiserver over WebSockets. It does what the JSON lines on its stdin say and tells what happens in
 * JSON lines on its stdout:
 *
 * {"serve": {stack, reply, ...}}       ->  listening; then for each connection answering (reply whole) and exchanged,
 * or failed {"dial": {address, body, ...}}       ->  exchanged or failed
 *
 * Both take `seed` (its identity) and `appKey`, base64.
 */
import "./withoutGlobal.mjs"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer } from "node:http"
import { createServer as createSecureServer } from "node:https"
import tls from "node:tls"
import MultiServer from "multiserver"
import Noauth from "multiserver/plugins/noauth.js"
import Shs from "multiserver/plugins/shs.js"
import Ws from "multiserver/plugins/ws.js"
import pull from "pull-stream"
import { obey } from "../../support/peerProcess.mjs"

const fixture = (name) => readFileSync(new URL(`../../fixtures/tls/${name}`, import.meta.url))

// The plugin's client takes no CA, so that one has to come in by another way.
const { createSecureContext } = tls
tls.createSecureContext = (options) => createSecureContext({ ...options, ca: fixture("ca.crt") })

/** Counts and hashes what passes. */
const tally = (onEnd, onBytes) => {
  const hash = createHash("sha256")
  let bytes = 0
  return {
    through: pull.through((chunk) => {
      bytes += chunk.length
      hash.update(chunk)
      onBytes?.(bytes)
    }, onEnd),
    total: () => ({ bytes, sha256: hash.digest("hex") })
  }
}

const exchanged = (say, stream, received, sent, error) =>
  say({
    event: "exchanged",
    // Over noauth it is its own key.
    remote: stream.auth?.allow === null ? null : (stream.remote?.toString("base64") ?? null),
    received: received.total(),
    sent: sent.total(),
    error: error ? String(error) : null
  })

const multiserver = (stack, server, { seed, appKey }) => {
  const ws = Ws({ host: "127.0.0.1", server })
  const keys = { publicKey: Buffer.alloc(32) }
  const auth = (_id, callback) => callback(null, true)
  const transforms = {
    shs: () => [Shs({ seed: Buffer.from(seed, "base64"), appKey, auth })],
    noauth: () => [Noauth({ keys })]
  }
  return MultiServer([[ws, ...(transforms[stack.split("~")[1]]?.() ?? [])]])
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
      say({ event: "answering" })
    })
    pull(stream.source, received.through, collected)
  }
}

const serve = (options, say) => {
  // Its own server would die of a port that is taken, and can't leave the choice to the system.
  const http = options.stack.startsWith("wss")
    ? createSecureServer({ key: fixture("server.key"), cert: fixture("server.crt") })
    : createServer()
  http.listen(0, "127.0.0.1", () => {
    const server = multiserver(options.stack, http, options)
    server.server(
      (stream) => replies[options.reply](stream, say),
      (error) => say({ event: "failed", error: error.message }),
      () => say({ event: "listening", address: server.stringify() })
    )
  })
}

// ---- as a client ----

const makeBody = ({ bytes, seed, pieces }) => {
  const body = Buffer.alloc(bytes).map((_, i) => (Math.imul(i + seed, 2_654_435_761) >>> 13) & 255)
  const length = Math.ceil(bytes / pieces) || 1
  return Array.from({ length: Math.ceil(bytes / length) }, (_, i) => body.subarray(i * length, (i + 1) * length))
}

const dial = (options, say) => {
  const [transport, transform] = options.address.split("~")
  const stack = `${transport.split(":")[0]}${transform === undefined ? "" : `~${transform.split(":")[0]}`}`
  multiserver(stack, undefined, options).client(options.address, (error, stream) => {
    if (error) return say({ event: "failed", error: error.message ?? String(error) })
    const { body, untilAnswered } = options
    const source = pull.values(makeBody(body))
    let got = 0
    let answered = () => {}
    /** Without a half close it may end only when it has its answer. */
    const patient = (abort, callback) =>
      source(abort, (end, data) => {
        if (end === true && untilAnswered && got < body.bytes) answered = () => callback(true)
        else callback(end, data)
      })
    const sent = tally()
    const received = tally(undefined, (bytes) => {
      got = bytes
      if (bytes >= body.bytes) answered()
    })
    pull(patient, sent.through, stream.sink)
    pull(
      stream.source,
      received.through,
      pull.onEnd((error) => exchanged(say, stream, received, sent, error))
    )
  })
}

obey((command, say) => {
  if (command.serve) serve(command.serve, say)
  else dial(command.dial, say)
})
