/**
 * noise and its frames for attackers, on sodium-native, Node's BLAKE2b and nothing of ours, after docs/noise.md:
 * Noise_XKpsk0_25519_ChaChaPoly_BLAKE2b. Each side is a generator as in shs.mjs.
 */
import { createHash, createHmac } from "node:crypto"
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

const name = Buffer.from("Noise_XKpsk0_25519_ChaChaPoly_BLAKE2b")

/** The app key, as the handshake takes it. */
const pskOf = (appKey) => {
  const out = buffer(32)
  sodium.crypto_generichash(out, Buffer.from("effect-multiserver/noise/2/psk"), appKey)
  return out
}

class Symmetric {
  /** Up to the first ephemeral key. Over net~noise, nothing is above noise. */
  constructor(appKey, responder, responderStatic) {
    this.chaining = concat(name, buffer(64 - name.length))
    this.hash = this.chaining
    this.mixHash(concat(Buffer.from("effect-multiserver/noise/2\0"), responder, Buffer.from("noise")))
    this.mixHash(responderStatic)
    const [chaining, hash, key] = this.derive(pskOf(appKey))
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
function* client({ appKey, identity, remote }, faulty = {}) {
  const remoteStatic = convertPublic(remote)
  const state = new Symmetric(appKey, remote, remoteStatic)
  const own = ephemeral()
  const shown = faulty.ephemeral ?? own.publicKey
  state.mixEphemeral(shown)
  state.mixKey(faulty.ephemeral === undefined ? x25519(own.secretKey, remoteStatic) : buffer(32))
  const challenge = yield concat(shown, state.seal(empty))
  const theirs = challenge.subarray(0, 32)
  state.mixEphemeral(theirs)
  state.mixKey(x25519(own.secretKey, theirs))
  state.open(challenge.subarray(32))
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
function* server({ appKey, identity }, faulty = {}) {
  const hello = yield
  const secretKey = convertSecret(identity.secretKey)
  const state = new Symmetric(appKey, identity.publicKey, convertPublic(identity.publicKey))
  const theirs = hello.subarray(0, 32)
  state.mixEphemeral(theirs)
  state.mixKey(x25519(secretKey, theirs))
  state.open(hello.subarray(32))
  const own = ephemeral()
  const shown = faulty.ephemeral ?? own.publicKey
  state.mixEphemeral(shown)
  state.mixKey(faulty.ephemeral === undefined ? x25519(own.secretKey, theirs) : buffer(32))
  const auth = yield concat(shown, state.seal(empty))
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
  client,
  server,
  faultyClients,
  faultyServers
}
