/** What attackers are made of: a socket that can be driven byte by byte, a peer that has passed its handshake, and the stacks. */
import net from "node:net"
import { createInterface } from "node:readline"
import { noise } from "./noise.mjs"
import { identity, random } from "./primitives.mjs"
import { shs } from "./shs.mjs"

export { identity, random }

const protocols = { "net~shs": shs, "net~noise": noise }

/** The protocol over net: the lengths of its messages, its two sides, and its frames. */
export const protocolOf = (stack) => protocols[stack]

// ---- sockets ----

/** A socket whose every byte and whose end are in our hands. */
export class Raw {
  received = 0
  /** `end`, `reset`, or undefined as long as it is open. */
  over = undefined
  #chunks = []
  #buffered = 0
  #wake = undefined

  constructor(socket) {
    this.socket = socket
    this.closed = new Promise((resolve) => {
      const finish = (how) => {
        if (this.over === undefined) {
          this.over = how
          this.overAt = performance.now()
        }
        this.#wake?.()
        resolve(how)
      }
      socket.on("end", () => finish("end"))
      socket.on("error", () => finish("reset"))
      socket.on("close", () => finish("reset"))
    })
    socket.on("data", (chunk) => {
      this.received += chunk.length
      this.#chunks.push(chunk)
      this.#buffered += chunk.length
      this.#wake?.()
    })
  }

  write(bytes) {
    this.socket.write(bytes)
  }

  /** Exactly so many bytes; throws when the stream is over before. */
  async read(length) {
    while (this.#buffered < length) {
      if (this.over !== undefined) throw new Error(`over: ${this.over}`)
      await new Promise((resolve) => {
        this.#wake = resolve
      })
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
      await new Promise((resolve) => {
        this.#wake = resolve
      })
    }
    const all = Buffer.concat(this.#chunks)
    this.#chunks = []
    this.#buffered = 0
    return all
  }

  end() {
    this.socket.end()
  }

  /** Whatever is on its way, this ends it with a RST. */
  reset() {
    this.socket.resetAndDestroy()
  }

  destroy() {
    this.socket.destroy()
  }
}

/** A connected socket; throws when it is refused. */
export const connect = ({ host, port }) =>
  new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, noDelay: true, allowHalfOpen: true })
    socket.once("error", reject)
    socket.once("connect", () => {
      socket.off("error", reject)
      resolve(new Raw(socket))
    })
  })

// ---- peers ----

/** One that has passed its handshake. */
class Peer {
  constructor(raw, session, sent) {
    this.raw = raw
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
      if (chunk === undefined) return { plain, how: this.opener.ended ? "goodbye" : this.raw.over }
      plain += this.opener.push(chunk).length
      if (this.opener.ended) return { plain, how: "goodbye" }
    }
  }
}

const bytes = (text) => Buffer.from(text, "base64")

/** The client's side of a handshake with a target, as a generator. */
export const clientOf = (target, faulty, as = identity()) => {
  const keys = { appKey: bytes(target.appKey), remote: bytes(target.publicKey), identity: as }
  return protocolOf(target.stack).client(keys, faulty)
}

/** Connects and passes the handshake. */
export const dial = async (target, options = {}) => {
  const raw = await connect(target)
  try {
    const { lengths } = protocolOf(target.stack)
    const steps = clientOf(target, undefined, options.as)
    const sent = [steps.next().value]
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
export const exchange = async (target, text = "ping") => {
  const peer = await dial(target)
  try {
    peer.say(text)
    if (String(await peer.hear(text.length)) !== text) throw new Error("not an echo")
    peer.raw.write(peer.sealer.goodbye())
    const { how } = await peer.rest()
    if (how !== "goodbye") throw new Error(`no goodbye: ${how}`)
  } finally {
    // The goodbye has come: what follows is the FIN of both sides.
    peer.raw.end()
    peer.raw.closed.then(() => peer.raw.destroy())
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

/**
 * Runs the process: its order is the JSON of its only argument, its stdin closes when it is to stop, and what it says are JSON lines on
 * stdout, the last of them `{"result"}`.
 */
export const run = async (attack) => {
  const say = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
  const stopped = new Promise((resolve) => {
    createInterface({ input: process.stdin })
      .on("line", (line) => listeners.forEach((listener) => listener(JSON.parse(line))))
      .on("close", resolve)
  })
  const listeners = []
  let isStopped = false
  stopped.then(() => {
    isStopped = true
  })
  const result = await attack({
    ...JSON.parse(process.argv[2]),
    say,
    stopped,
    isStopped: () => isStopped,
    onLine: (listener) => listeners.push(listener)
  })
  say({ result: result ?? {} })
  process.stdin.destroy()
  // Sockets that an attack holds to its end go with it.
  process.stdout.write("", () => process.exit(0))
}
