/**
 * What attackers are made of: a socket that can be driven byte by byte, a peer that has passed its handshake, and the
 * stacks.
 */
import net from "node:net"
import { Duplex } from "node:stream"
import tls from "node:tls"
import { noise, noisepq } from "./noise.mjs"
import { identity, random } from "./primitives.mjs"
import { shs } from "./shs.mjs"
import { answerTo, close, Frames, frame, isUpgraded, request } from "./websocket.mjs"

export { identity, random }

/** A stack that is its transport: nothing is said before the bytes, and its end is the transport's. */
const bare = {
  name: "bare",
  lengths: { client: [], server: [] },
  *client() {
    const opener = { ended: false, push: (chunk) => chunk }
    return { session: { sealer: { box: (body) => body, goodbye: () => Buffer.alloc(0) }, opener } }
  }
}

const protocols = { shs, noise, noisepq }

/** `net`, `ws` or `wss`. */
export const transportOf = (stack) => stack.split("~")[0]

/** The protocol over the transport: the lengths of its messages, its two sides, and its frames. */
export const protocolOf = (stack) => protocols[stack.split("~")[1]] ?? bare

// ---- sockets ----

/** The longest message that goes out over a WebSocket. */
const longest = 64 * 1024

/** A socket whose every byte and whose end are in our hands. Over ws, what is written are messages. */
export class Raw {
  /** Bytes of the stream; over ws, of its messages. */
  received = 0
  /** `end`, `reset`, or undefined as long as it is open. A Close is an end. */
  over = undefined
  /** Once it is a WebSocket: what cuts the server's frames, and whether ours are masked. */
  frames = undefined
  #masks = true
  #chunks = []
  #buffered = 0
  #wake = undefined
  #closeSent = false
  #tcp
  #finish

  /** `tcp` is the socket below one that speaks TLS. */
  constructor(socket, tcp = socket) {
    this.socket = socket
    this.#tcp = tcp
    this.closed = new Promise((resolve) => {
      this.#finish = (how) => {
        if (this.over === undefined) {
          this.over = how
          this.overAt = performance.now()
        }
        this.#wake?.()
        resolve(how)
      }
    })
    /** When the other side has ended the socket itself. */
    this.gone = new Promise((resolve) => {
      const finish = (how) => {
        this.#finish(how)
        resolve(how)
      }
      socket.on("end", () => finish("end"))
      socket.on("error", () => finish("reset"))
      socket.on("close", () => finish("reset"))
      tcp.on("error", () => {})
    })
    socket.on("data", (chunk) => this.#arrived(chunk))
  }

  #arrived(chunk) {
    const bytes = this.frames === undefined ? chunk : this.frames.push(chunk)
    if (bytes.length > 0) {
      this.received += bytes.length
      this.#chunks.push(bytes)
      this.#buffered += bytes.length
    }
    this.#wake?.()
    if (this.frames?.closed === undefined) return
    this.#finish("end")
    if (this.#closeSent) this.socket.end()
  }

  /** From now on what comes are frames. What follows the head in the same chunk is some already. */
  becomeWebSocket({ masks = true } = {}) {
    const rest = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#buffered = 0
    this.received = 0
    this.#masks = masks
    this.frames = new Frames()
    if (rest.length > 0) this.#arrived(rest)
  }

  /** As the transport would have it. Answers whether there is room for more. */
  write(bytes) {
    if (this.frames === undefined) return this.socket.write(bytes)
    let more = true
    for (let from = 0; from < bytes.length; from += longest) {
      more = this.socket.write(frame(bytes.subarray(from, from + longest), { mask: this.#masks }))
    }
    return more
  }

  /** As they are, below all frames. */
  send(bytes) {
    return this.socket.write(bytes)
  }

  /** The head of a request or an answer, with the empty line behind it. */
  async readHead() {
    for (;;) {
      const all = Buffer.concat(this.#chunks)
      const end = all.indexOf("\r\n\r\n")
      if (end >= 0) return String(await this.read(end + 4))
      if (this.over !== undefined) throw new Error(`over: ${this.over}`)
      await this.#more()
    }
  }

  #more() {
    return new Promise((resolve) => {
      this.#wake = resolve
    })
  }

  /** Exactly so many bytes; throws when the stream is over before. */
  async read(length) {
    while (this.#buffered < length) {
      if (this.over !== undefined) throw new Error(`over: ${this.over}`)
      await this.#more()
    }
    const all = Buffer.concat(this.#chunks)
    this.#chunks = all.length > length ? [all.subarray(length)] : []
    this.#buffered = all.length - length
    return all.subarray(0, length)
  }

  /** What has arrived, or undefined when the stream is over. */
  async take() {
    while (this.#buffered === 0) {
      if (this.over !== undefined) return undefined
      await this.#more()
    }
    const all = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#buffered = 0
    return all
  }

  get localPort() {
    return this.#tcp.localPort
  }

  /** As the transport ends: over ws by a Close, and by the FIN once there are two of them. */
  end() {
    if (this.frames === undefined) return this.socket.end()
    if (this.#closeSent) return
    this.#closeSent = true
    this.socket.write(close(1000, { mask: this.#masks }))
    if (this.frames.closed !== undefined) this.socket.end()
  }

  /** Ends the socket, whatever it carries. */
  fin() {
    this.socket.end()
  }

  /** Whatever is on its way, this ends it with a RST; over TLS, of a socket that was opened for it. */
  reset() {
    this.#tcp.resetAndDestroy()
    this.socket.destroy()
  }

  destroy() {
    this.socket.destroy()
  }
}

/**
 * A socket as a stream, for TLS over it: a socket that TLS has taken over can't be reset, and Node crashes where it is
 * tried all the same.
 */
export const streamOf = (tcp) => {
  const stream = new Duplex({
    read: () => tcp.resume(),
    write: (bytes, _, done) => tcp.write(bytes, done),
    final: (done) => tcp.end(done),
    destroy: (error, done) => {
      tcp.destroy()
      done(error)
    }
  })
  tcp.on("data", (bytes) => stream.push(bytes) || tcp.pause())
  tcp.on("end", () => stream.push(null))
  tcp.on("error", (error) => stream.destroy(error))
  tcp.on("close", () => stream.destroy())
  return stream
}

/**
 * A connected socket, on which TLS is spoken where the stack has it; throws when it is refused. `resets`: it may be
 * reset.
 */
export const open = ({ host, port, stack = "net" }, { localAddress, localPort, opened, resets = false } = {}) =>
  new Promise((resolve, reject) => {
    const tcp = net.connect({ host, port, localAddress, localPort, noDelay: true, allowHalfOpen: true })
    // What the server has to tell of, whatever comes of it.
    if (opened !== undefined) tcp.once("connect", opened)
    const isSecure = transportOf(stack) === "wss"
    const below = isSecure && resets ? streamOf(tcp) : tcp
    const socket = isSecure
      ? tls.connect({ socket: below, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"], allowHalfOpen: true })
      : tcp
    const fail = (error) => {
      // Another one may follow it.
      for (const each of [tcp, socket]) each.on("error", () => {}).destroy()
      reject(error instanceof Error ? error : new Error("closed"))
    }
    for (const each of new Set([tcp, socket])) each.once("error", fail).once("close", fail)
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      for (const each of new Set([tcp, socket])) each.off("error", fail).off("close", fail)
      resolve(new Raw(socket, tcp))
    })
  })

/** The same that has become a WebSocket where the stack has one; throws when that is refused. */
export const connect = async (target, options) => {
  const raw = await open(target, options)
  if (transportOf(target.stack) === "net") return raw
  try {
    raw.send(request(target))
    const head = await raw.readHead()
    if (!isUpgraded(head)) throw new Error(head.slice(0, 20))
    raw.becomeWebSocket()
    return raw
  } catch (error) {
    raw.destroy()
    throw error
  }
}

/** The first message of a TLS handshake, as bytes. */
export const clientHello = () =>
  new Promise((resolve) => {
    const server = net.createServer((socket) => {
      socket
        .on("error", () => {})
        .once("data", (hello) => {
          resolve(hello)
          socket.destroy()
          server.close()
        })
    })
    server.listen(0, "127.0.0.1", () => tls.connect({ port: server.address().port }).on("error", () => {}))
  })

/** Becomes a WebSocket as a server, where the stack has one. */
export const welcome = async (raw, stack) => {
  if (transportOf(stack) === "net") return raw
  raw.send(answerTo(await raw.readHead()))
  raw.becomeWebSocket({ masks: false })
  return raw
}

// ---- peers ----

/** One that has passed its handshake. */
class Peer {
  constructor(raw, session, sent) {
    this.raw = raw
    this.isBare = sent === undefined
    this.sealer = session.sealer
    this.opener = session.opener
    /** The two messages of its handshake. */
    this.sent = sent
  }

  say(text) {
    this.raw.write(this.sealer.box(Buffer.from(text)))
  }

  /** Reads so many bytes of plaintext; throws when the stream ends before. */
  async hear(length) {
    const parts = []
    for (let heard = 0; heard < length; ) {
      const chunk = await this.raw.take()
      if (chunk === undefined) throw new Error(`over: ${this.raw.over}`)
      const plain = this.opener.push(chunk)
      parts.push(plain)
      heard += plain.length
    }
    return Buffer.concat(parts)
  }

  /** Reads to the end: `goodbye`, or how the stream was cut. */
  async rest() {
    let plain = 0
    for (;;) {
      const chunk = await this.raw.take()
      if (chunk === undefined) return { plain, how: this.#ended() ? "goodbye" : this.raw.over }
      plain += this.opener.push(chunk).length
      if (this.opener.ended) return { plain, how: "goodbye" }
    }
  }

  /** Where nothing says goodbye, a Close does. */
  #ended() {
    return this.opener.ended || (this.isBare && this.raw.frames?.closed === 1000)
  }
}

const bytes = (text) => Buffer.from(text, "base64")

/** The client's side of a handshake with a target, as a generator. */
export const clientOf = (target, faulty, as = identity()) => {
  const keys = { appKey: bytes(target.appKey), remote: bytes(target.publicKey), identity: as }
  return protocolOf(target.stack).client(keys, faulty)
}

/** How long the parts are that a client sends until it is through, as they are on the wire: over ws its request too. */
export const partLengths = (target) => {
  const { client } = protocolOf(target.stack).lengths
  if (transportOf(target.stack) === "net") return client
  return [request(target).length, ...client.map((length) => frame(Buffer.alloc(length)).length)]
}

/**
 * A client's part of a handshake over an open socket, from the request or, where there is a WebSocket already, from the
 * first message. Each part goes through `pass` with its number, as it is on the wire; it answers whether the next one
 * is to come.
 */
export const shake = async (raw, target, pass) => {
  const isNet = transportOf(target.stack) === "net"
  const framed = (message) => (isNet ? message : frame(message))
  let number = 0
  if (!isNet && raw.frames === undefined) {
    if (!(await pass(request(target), number++))) return
    if (!isUpgraded(await raw.readHead())) throw new Error("not upgraded")
    raw.becomeWebSocket()
  }
  const steps = clientOf(target)
  if (!(await pass(framed(steps.next().value), number++))) return
  await pass(framed(steps.next(await raw.read(protocolOf(target.stack).lengths.server[0])).value), number)
}

/** The same up to a byte, and no further. */
export const shakeUpTo = async (raw, target, at) => {
  let passed = 0
  await shake(raw, target, (bytes) => {
    const part = bytes.subarray(0, at - passed)
    passed += bytes.length
    if (part.length > 0) raw.send(part)
    return at > passed
  })
}

/** Connects and passes the handshake. With a `delay`, it takes so many milliseconds to its first message. */
export const dial = async (target, options = {}) => {
  const raw = await connect(target, options)
  try {
    if (options.delay !== undefined) await sleep(options.delay)
    const { lengths } = protocolOf(target.stack)
    const steps = clientOf(target, undefined, options.as)
    const first = steps.next()
    if (first.done) return new Peer(raw, first.value.session)
    const sent = [first.value]
    raw.write(sent[0])
    sent.push(steps.next(await raw.read(lengths.server[0])).value)
    raw.write(sent[1])
    const { session } = steps.next(await raw.read(lengths.server[1])).value
    return new Peer(raw, session, sent)
  } catch (error) {
    raw.destroy()
    throw error
  }
}

/** Connects, says something, hears it, and leaves with a goodbye on both sides. */
export const exchange = async (target, { text = "ping", ...options } = {}) => {
  const peer = await dial(target, options)
  const { raw } = peer
  try {
    peer.say(text)
    if (String(await peer.hear(text.length)) !== text) throw new Error("not an echo")
    if (peer.isBare) raw.end()
    else raw.write(peer.sealer.goodbye())
    const { how } = await peer.rest()
    if (how !== "goodbye") throw new Error(`no goodbye: ${how}`)
  } finally {
    // The goodbye has come: what follows is the end of both sides' transport.
    raw.end()
    raw.gone.then(() => raw.destroy())
  }
}

/** Passes the handshake as the server of a socket that has come. */
export const answer = async (raw, stack, keys, faulty) => {
  const { lengths, server } = protocolOf(stack)
  const steps = server(keys, faulty)
  steps.next()
  raw.write(steps.next(await raw.read(lengths.client[0])).value)
  const { last, session } = steps.next(await raw.read(lengths.client[1])).value
  raw.write(last)
  return new Peer(raw, session, [])
}

// ---- the process ----

/** How long an attacker waits for an answer or an end that has to come, however busy the machine is. */
const patience = 120_000

/** What comes of it, or undefined when nothing has. */
export const inTime = (promise) => Promise.race([promise, sleep(patience).then(() => undefined)])

export const sleep = (millis) => new Promise((resolve) => setTimeout(resolve, millis))

/** So many at a time, each with its number. */
export const times = async (count, atOnce, run) => {
  let next = 0
  const worker = async () => {
    while (next < count) await run(next++)
  }
  await Promise.all(Array.from({ length: Math.min(atOnce, count) }, worker))
}

/** The middle and the tail of some durations, in milliseconds. */
export const percentiles = (durations) => {
  const sorted = [...durations].sort((a, b) => a - b)
  const at = (share) => Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0)
  return { p50: at(0.5), p99: at(0.99), max: at(1) }
}

/** Random numbers from a seed, so that a run can be had again. */
export const randomFrom = (seed) => {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
