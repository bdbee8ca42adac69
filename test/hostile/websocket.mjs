/**
 * WebSockets for attackers, after RFC 6455 and on nothing of ours: requests, frames as they should be or not, and what
 * comes back.
 */
import { createHash, randomBytes } from "node:crypto"

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 }

const none = Buffer.alloc(0)

// ---- the request ----

const upgradeHeaders = {
  Upgrade: "websocket",
  Connection: "Upgrade",
  "Sec-WebSocket-Version": "13",
  "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
}

/**
 * A request as text. Without `headers` of its own it is one for a WebSocket; a header that is undefined is left out.
 */
export const request = ({ host, port }, { headers = {}, method = "GET", path = "/", version = "1.1" } = {}) => {
  const all = { Host: `${host}:${port}`, ...upgradeHeaders, ...headers }
  const lines = Object.entries(all).flatMap(([name, value]) => (value === undefined ? [] : [`${name}: ${value}`]))
  return Buffer.from(`${[`${method} ${path} HTTP/${version}`, ...lines].join("\r\n")}\r\n\r\n`)
}

/** A request that asks for no WebSocket. */
export const plainRequest = (target, options = {}) =>
  request(target, {
    ...options,
    headers: {
      Upgrade: undefined,
      Connection: "keep-alive",
      "Sec-WebSocket-Version": undefined,
      "Sec-WebSocket-Key": undefined,
      ...options.headers
    }
  })

export const isUpgraded = (head) => /^HTTP\/1\.1 101 /.test(head)

/** What a server answers to a request's head. */
export const answerTo = (head) => {
  const [, key] = /^sec-websocket-key: *(\S+)/im.exec(head) ?? []
  if (key === undefined) throw new Error("no request for a WebSocket")
  const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
  return Buffer.from(
    ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade", `Sec-WebSocket-Accept: ${accept}`]
      .concat("", "")
      .join("\r\n")
  )
}

// ---- frames ----

/** Longer payloads are masked with zeros, which is as good on the wire and costs the attacker nothing. */
const longest = 1024

const masked = (payload) => {
  if (payload.length > longest) return { key: Buffer.alloc(4), body: payload }
  const key = randomBytes(4)
  return { key, body: payload.map((byte, i) => byte ^ key[i & 3]) }
}

/** One frame. A client masks; `length` is what its head says. */
export const frame = (
  payload,
  { fin = true, length = payload.length, mask = true, opcode = opcodes.binary, rsv = 0 } = {}
) => {
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8
  const head = Buffer.alloc(2 + extra)
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode
  head[1] = (mask ? 0x80 : 0) | (extra === 0 ? length : extra === 2 ? 126 : 127)
  if (extra === 2) head.writeUInt16BE(length, 2)
  if (extra === 8) head.writeBigUInt64BE(BigInt(length), 2)
  if (!mask) return Buffer.concat([head, payload])
  const { body, key } = masked(payload)
  return Buffer.concat([head, key, body])
}

/** A Close, with a code or without. */
export const close = (code, { mask = true, reason = "" } = {}) => {
  const said = code === undefined ? none : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)])
  return frame(said, { mask, opcode: opcodes.close })
}

/** Cuts what arrives into frames. */
export class Frames {
  /** The code of the Close that has come; 1005 when it had none. */
  closed = undefined
  #pending = none

  /** The bytes of the messages in a chunk. Pings and pongs are passed over. */
  push(chunk) {
    this.#pending = this.#pending.length === 0 ? chunk : Buffer.concat([this.#pending, chunk])
    const payloads = []
    for (let next = this.#next(); next !== undefined; next = this.#next()) {
      const { opcode, payload } = next
      if (opcode === opcodes.close) this.closed ??= payload.length < 2 ? 1005 : payload.readUInt16BE()
      else if (opcode < opcodes.close) payloads.push(payload)
    }
    return payloads.length === 1 ? payloads[0] : Buffer.concat(payloads)
  }

  #next() {
    const all = this.#pending
    if (all.length < 2) return undefined
    const short = all[1] & 0x7f
    const extra = short < 126 ? 0 : short === 126 ? 2 : 8
    const isMasked = all[1] >= 0x80
    const from = 2 + extra + (isMasked ? 4 : 0)
    if (all.length < from) return undefined
    const length = extra === 0 ? short : extra === 2 ? all.readUInt16BE(2) : Number(all.readBigUInt64BE(2))
    if (all.length < from + length) return undefined
    this.#pending = all.subarray(from + length)
    const body = all.subarray(from, from + length)
    const payload = isMasked ? body.map((byte, i) => byte ^ all[from - 4 + (i & 3)]) : body
    return { opcode: all[0] & 15, payload }
  }
}
