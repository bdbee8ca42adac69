/**
 * noise, noisepq and their frames for attackers, on sodium-native, Node's BLAKE2b, noble's ML-KEM and nothing of ours,
 * after docs/noise.md and docs/noisepq.md. Each side is a generator as in shs.mjs.
 */
import { createHash, createHmac } from "node:crypto"
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js"
import sodium from "sodium-native"
import {
  buffer,
  concat,
  convertPublic,
  convertSecret,
  degenerateKeys,
  ephemeral,
  flipped,
  identity,
  smallOrder,
  x25519
} from "./primitives.mjs"

const empty = buffer(0)
const blake2b = (...parts) =>
  createHash("blake2b512")
    .update(concat(...parts))
    .digest()
const hmac = (key, ...parts) =>
  createHmac("blake2b512", key)
    .update(concat(...parts))
    .digest()

const nonceOf = (count) => {
  const nonce = buffer(12)
  nonce.writeBigUInt64LE(BigInt(count), 4)
  return nonce
}

const seal = (key, nonce, message, associated = empty) => {
  const out = buffer(message.length + 16)
  sodium.crypto_aead_chacha20poly1305_ietf_encrypt(out, message, associated, null, nonce, key)
  return out
}

/** Throws at what is not sealed so. */
const open = (key, nonce, sealed, associated = empty) => {
  const out = buffer(sealed.length - 16)
  sodium.crypto_aead_chacha20poly1305_ietf_decrypt(out, null, sealed, associated, nonce, key)
  return out
}

// ---- handshake ----

/** What distinguishes the two. `kem`: how long what is sealed of the KEM is, in the first message and the second. */
const variants = {
  noise: { protocol: "Noise_XKpsk0_25519_ChaChaPoly_BLAKE2b", label: "effect-multiserver/noise/2" },
  noisepq: {
    protocol: "Noise_XKhfs+psk0_25519+MLKEM768_ChaChaPoly_BLAKE2b",
    label: "effect-multiserver/noisepq/1",
    kem: { key: 1184 + 16, ciphertext: 1088 + 16 }
  }
}

/** The app key, as the handshake takes it. */
const pskOf = (label, appKey) => {
  const out = buffer(32)
  sodium.crypto_generichash(out, Buffer.from(`${label}/psk`), appKey)
  return out
}

class Symmetric {
  /** Up to the first ephemeral key. Over net~noise, nothing is above noise. */
  constructor(name, appKey, responder, responderStatic) {
    const { label, protocol } = variants[name]
    this.chaining = concat(Buffer.from(protocol), buffer(64 - protocol.length))
    this.hash = this.chaining
    this.mixHash(concat(Buffer.from(`${label}\0`), responder, Buffer.from(name)))
    this.mixHash(responderStatic)
    const [chaining, hash, key] = this.derive(pskOf(label, appKey))
    this.chaining = chaining
    this.mixHash(hash)
    this.key = key.subarray(0, 32)
    this.count = 0
  }

  mixHash(data) {
    this.hash = blake2b(this.hash, data)
  }

  derive(input) {
    const secret = hmac(this.chaining, input)
    const first = hmac(secret, Buffer.from([1]))
    const second = hmac(secret, first, Buffer.from([2]))
    return [first, second, hmac(secret, second, Buffer.from([3]))]
  }

  mixEphemeral(publicKey) {
    this.mixHash(publicKey)
    this.mixKey(publicKey)
  }

  mixKey(secret) {
    const [chaining, key] = this.derive(secret)
    this.chaining = chaining
    this.key = key.subarray(0, 32)
    this.count = 0
  }

  seal(plain) {
    const sealed = seal(this.key, nonceOf(this.count++), plain, this.hash)
    this.mixHash(sealed)
    return sealed
  }

  open(sealed) {
    const plain = open(this.key, nonceOf(this.count++), sealed, this.hash)
    this.mixHash(sealed)
    return plain
  }

  split() {
    return this.derive(empty)
      .slice(0, 2)
      .map((key) => key.subarray(0, 32))
  }
}

const noToken = buffer(32)

/** The client of `remote`. `faulty` replaces parts of what it sends. */
const client = (name) =>
  function* ({ appKey, identity, remote }, faulty = {}) {
    const { kem } = variants[name]
    const remoteStatic = convertPublic(remote)
    const state = new Symmetric(name, appKey, remote, remoteStatic)
    const own = ephemeral()
    const shown = faulty.ephemeral ?? own.publicKey
    state.mixEphemeral(shown)
    state.mixKey(faulty.ephemeral === undefined ? x25519(own.secretKey, remoteStatic) : buffer(32))
    const pair = kem && ml_kem768.keygen()
    const e1 = kem ? state.seal(Buffer.from(faulty.kem ?? pair.publicKey)) : empty
    const challenge = yield concat(shown, e1, state.seal(empty))
    const theirs = challenge.subarray(0, 32)
    state.mixEphemeral(theirs)
    state.mixKey(x25519(own.secretKey, theirs))
    const at = 32 + (kem?.ciphertext ?? 0)
    if (kem) state.mixKey(ml_kem768.decapsulate(state.open(challenge.subarray(32, at)), pair.secretKey))
    state.open(challenge.subarray(at))
    const secretKey = convertSecret(identity.secretKey)
    const sealedStatic = state.seal(faulty.static ?? convertPublic(identity.publicKey))
    state.mixKey(faulty.static === undefined ? x25519(secretKey, theirs) : buffer(32))
    const accept = yield concat(sealedStatic, state.seal(concat(faulty.claimed ?? identity.publicKey, noToken)))
    const [send, receive] = state.split()
    const session = { sealer: new Sealer(send), opener: new Opener(receive) }
    if (!session.opener.push(accept).equals(Buffer.from([0]))) throw new Error("not an accept")
    return { session }
  }

/** The server. `faulty` replaces parts of what it sends. */
const server = (name) =>
  function* ({ appKey, identity }, faulty = {}) {
    const { kem } = variants[name]
    const hello = yield
    const secretKey = convertSecret(identity.secretKey)
    const state = new Symmetric(name, appKey, identity.publicKey, convertPublic(identity.publicKey))
    const theirs = hello.subarray(0, 32)
    state.mixEphemeral(theirs)
    state.mixKey(x25519(secretKey, theirs))
    const at = 32 + (kem?.key ?? 0)
    const kemKey = kem && state.open(hello.subarray(32, at))
    state.open(hello.subarray(at))
    const own = ephemeral()
    const shown = faulty.ephemeral ?? own.publicKey
    state.mixEphemeral(shown)
    state.mixKey(faulty.ephemeral === undefined ? x25519(own.secretKey, theirs) : buffer(32))
    let sealed = empty
    if (kem) {
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(kemKey)
      sealed = state.seal(Buffer.from(faulty.ciphertext ?? cipherText))
      state.mixKey(sharedSecret)
    }
    const auth = yield concat(shown, sealed, state.seal(empty))
    const remoteStatic = state.open(auth.subarray(0, 48))
    state.mixKey(x25519(own.secretKey, remoteStatic))
    state.open(auth.subarray(48))
    const [receive, send] = state.split()
    const session = { sealer: new Sealer(send), opener: new Opener(receive) }
    return { last: (faulty.accept ?? ((sealer) => sealer.box(Buffer.from([0]))))(session.sealer), session }
  }

// ---- frames ----

class Sealer {
  count = 0

  constructor(key) {
    this.key = key
  }

  /** One frame, in its two parts. `claimed`: the length that the header says. */
  packet(body, claimed = body.length) {
    const head = seal(this.key, nonceOf(this.count++), Buffer.from([claimed >> 8, claimed & 0xff]))
    const sealed = seal(this.key, nonceOf(this.count++), body)
    this.rekey()
    return { head, body: sealed }
  }

  rekey() {
    if (this.count % 131_072 !== 0) return
    const last = nonceOf(0xffff_ffff_ffff_ffffn)
    this.key = seal(this.key, last, buffer(32)).subarray(0, 32)
  }

  box(body) {
    const packet = this.packet(body)
    return concat(packet.head, packet.body)
  }

  goodbye() {
    return seal(this.key, nonceOf(this.count++), buffer(2))
  }
}

class Opener {
  pending = empty
  length = undefined
  ended = false
  count = 0

  constructor(key) {
    this.key = key
  }

  /** What a chunk completes. Throws at what was not sealed by the peer. */
  push(chunk) {
    this.pending = this.pending.length === 0 ? chunk : concat(this.pending, chunk)
    const bodies = []
    while (!this.ended) {
      const needed = this.length === undefined ? 18 : this.length + 16
      if (this.pending.length < needed) break
      const plain = open(this.key, nonceOf(this.count++), this.pending.subarray(0, needed))
      this.pending = this.pending.subarray(needed)
      if (this.length === undefined) {
        this.length = plain.readUInt16BE()
        this.ended = this.length === 0
      } else {
        bodies.push(plain)
        this.length = undefined
        this.rekey()
      }
    }
    return concat(...bodies)
  }
}
Opener.prototype.rekey = Sealer.prototype.rekey

// ---- what nobody honest sends ----

const faultyClients = [
  ...smallOrder.map((point, i) => [`ephemeral of small order ${i}`, { ephemeral: point }]),
  ...smallOrder.map((point, i) => [`static key of small order ${i}`, { static: point }]),
  ...degenerateKeys.map((key, i) => [`degenerate key ${i}`, { claimed: key }]),
  ["another's key", { claimed: identity().publicKey }]
]

const faultyServers = [
  ...smallOrder.map((point, i) => [`ephemeral of small order ${i}`, { ephemeral: point }]),
  ["another accept", { accept: (sealer) => sealer.box(Buffer.from([1])) }],
  ["a long accept", { accept: (sealer) => sealer.box(buffer(100)) }],
  ["a goodbye in the place of its accept", { accept: (sealer) => concat(sealer.goodbye(), buffer(17)) }],
  ["a garbled accept", { accept: (sealer) => flipped(sealer.box(Buffer.from([0]))) }]
]

/** A key of the KEM with a number of 3329, the first that FIPS 203 forbids, in the first or the last place. */
const forbiddenKey = (at) => {
  const key = Buffer.from(ml_kem768.keygen().publicKey)
  key.writeUInt16LE((key.readUInt16LE(at) & 0xf000) | 3329, at)
  return key
}

const faultyKems = [
  ["a forbidden first number in its KEM key", { kem: forbiddenKey(0) }],
  ["a forbidden number in its KEM key", { kem: forbiddenKey(1149) }],
  ["ones as its KEM key", { kem: buffer(1184).fill(255) }]
]

const faultyCiphertexts = [
  ["zeros as its ciphertext", { ciphertext: buffer(1088) }],
  ["ones as its ciphertext", { ciphertext: buffer(1088).fill(255) }],
  ["a ciphertext for another key", { ciphertext: ml_kem768.encapsulate(ml_kem768.keygen().publicKey).cipherText }]
]

export const noise = {
  name: "noise",
  /**
   * The lengths of the messages, in bytes. Each side sends two, the client first; the server's last is its first frame.
   */
  lengths: { client: [48, 128], server: [48, 35] },
  /** Of a frame's first part. */
  head: 18,
  /** The longest body that anybody sends, and the longest that a header can say. */
  maxBody: 65_519,
  maxClaim: 65_535,
  client: client("noise"),
  server: server("noise"),
  faultyClients,
  faultyServers
}

export const noisepq = {
  ...noise,
  name: "noisepq",
  lengths: { client: [1248, 128], server: [1152, 35] },
  client: client("noisepq"),
  server: server("noisepq"),
  faultyClients: [...faultyClients, ...faultyKems],
  faultyServers: [...faultyServers, ...faultyCiphertexts]
}
