/**
 * The globals that the vectors' tests use, for the binary of Hermes, which has none of React Native's. Before everything
 * else in the bundle. The random numbers are for tests only.
 */
if (Symbol.asyncIterator === undefined) {
  Object.defineProperty(Symbol, "asyncIterator", { value: Symbol("Symbol.asyncIterator") })
}

Array.prototype.with ??= function (index, value) {
  return this.map((own, i) => (i === index ? value : own))
}

const utf8 = {
  encode: (text) => Uint8Array.from(unescape(encodeURIComponent(text)), (character) => character.charCodeAt(0)),
  decode: (bytes) => decodeURIComponent(escape(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")))
}

const hex = {
  encode: (text) => Uint8Array.from(text.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16)),
  decode: (bytes) => Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")
}

const encodings = { hex, utf8 }

/** What the tests use of Node's. */
class Buffer extends Uint8Array {
  static from(from, encoding = "utf8") {
    return new Buffer(typeof from === "string" ? encodings[encoding].encode(from) : from)
  }
  static concat(chunks) {
    const all = new Buffer(chunks.reduce((length, chunk) => length + chunk.length, 0))
    let at = 0
    for (const chunk of chunks) {
      all.set(chunk, at)
      at += chunk.length
    }
    return all
  }
  static compare(a, b) {
    return a.length === b.length && a.every((byte, i) => byte === b[i]) ? 0 : 1
  }
  toString(encoding = "utf8") {
    return encodings[encoding].decode(this)
  }
}

const log = (...said) => print(said.join(" "))

Object.assign(globalThis, {
  Buffer,
  console: { log, error: log, warn: log, info: log, debug: log },
  crypto: { getRandomValues: (bytes) => bytes.map((_, i) => (bytes[i] = Math.floor(256 * Math.random()))) },
  performance: { now: () => Date.now() },
  queueMicrotask: (run) => void Promise.resolve().then(run),
  TextEncoder: class {
    encode(text = "") {
      return utf8.encode(text)
    }
  },
  TextDecoder: class {
    decode(bytes = new Uint8Array(0)) {
      return utf8.decode(bytes)
    }
  },
  URL: class {
    constructor(text) {
      this.text = text
    }
    toString() {
      return this.text
    }
  }
})
