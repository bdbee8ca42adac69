/**
 * shs and its box stream for attackers, on sodium-native and nothing of ours, after the public description. Each side
 * is a generator that yields the messages it sends and is given those it receives; it returns the session, and the
 * server's last message with it.
 */
import sodium from "sodium-native"
import {
  buffer,
  concat,
  convertPublic,
  convertSecret,
  degenerateKeys,
  ephemeral,
  flipped,
  hex,
  identity,
  smallOrder,
  x25519
} from "./primitives.mjs"

const zeroNonce = buffer(24)

const hmac = (key, message) => {
  const out = buffer(32)
  sodium.crypto_auth(out, message, key)
  return out
}

const sha256 = (...parts) => {
  const out = buffer(32)
  sodium.crypto_hash_sha256(out, concat(...parts))
  return out
}

const sign = (secretKey, ...parts) => {
  const out = buffer(64)
  sodium.crypto_sign_detached(out, concat(...parts), secretKey)
  return out
}

const seal = (key, nonce, message) => {
  const out = buffer(message.length + 16)
  sodium.crypto_secretbox_easy(out, message, nonce, key)
  return out
}

const open = (key, nonce, sealed) => {
  const out = buffer(sealed.length - 16)
  if (!sodium.crypto_secretbox_open_easy(out, sealed, nonce, key)) throw new Error("a box does not open")
  return out
}

// ---- box stream ----

const increment = (nonce) => {
  for (let i = 23; i >= 0; i--) {
    nonce[i] = (nonce[i] + 1) & 0xff
    if (nonce[i] !== 0) return
  }
}

class Sealer {
  constructor(key, nonce) {
    this.key = key
    this.nonce = Buffer.from(nonce)
  }

  /** One packet, in its two parts. `claimed`: the length that the header says. */
  packet(body, claimed = body.length) {
    const headerNonce = Buffer.from(this.nonce)
    increment(this.nonce)
    const sealed = seal(this.key, this.nonce, body)
    increment(this.nonce)
    const length = Buffer.from([claimed >> 8, claimed & 0xff])
    return { head: seal(this.key, headerNonce, concat(length, sealed.subarray(0, 16))), body: sealed.subarray(16) }
  }

  box(body) {
    const packet = this.packet(body)
    return concat(packet.head, packet.body)
  }

  goodbye() {
    return seal(this.key, this.nonce, buffer(18))
  }
}

class Opener {
  pending = buffer(0)
  header = undefined
  ended = false

  constructor(key, nonce) {
    this.key = key
    this.nonce = Buffer.from(nonce)
  }

  /** What a chunk completes. Throws at what was not sealed by the peer. */
  push(chunk) {
    this.pending = this.pending.length === 0 ? chunk : concat(this.pending, chunk)
    const bodies = []
    while (!this.ended) {
      if (this.header === undefined) {
        if (this.pending.length < 34) break
        this.header = open(this.key, this.nonce, this.pending.subarray(0, 34))
        increment(this.nonce)
        this.pending = this.pending.subarray(34)
        this.ended = this.header.every((byte) => byte === 0)
        continue
      }
      const length = this.header.readUInt16BE()
      if (this.pending.length < length) break
      bodies.push(open(this.key, this.nonce, concat(this.header.subarray(2), this.pending.subarray(0, length))))
      increment(this.nonce)
      this.pending = this.pending.subarray(length)
      this.header = undefined
    }
    return concat(...bodies)
  }
}

const session = ({ accept, appKey, local, localEphemeral, remote, remoteEphemeral }) => {
  const secret = sha256(accept)
  return {
    sealer: new Sealer(sha256(secret, remote), hmac(appKey, remoteEphemeral).subarray(0, 24)),
    opener: new Opener(sha256(secret, local), hmac(appKey, localEphemeral).subarray(0, 24))
  }
}

// ---- handshake ----

/** The client of `remote`. `faulty` replaces parts of what it sends. */
function* client({ appKey, identity, remote }, faulty = {}) {
  const own = ephemeral()
  const greeting = faulty.ephemeral ?? own.publicKey
  const challenge = yield concat(hmac(appKey, greeting), greeting)
  const theirs = challenge.subarray(32)
  const shared = x25519(own.secretKey, theirs)
  const sharedLong = x25519(own.secretKey, convertPublic(remote))
  const signature = sign(identity.secretKey, appKey, remote, sha256(shared))
  const hello = faulty.hello?.(signature, identity.publicKey) ?? concat(signature, identity.publicKey)
  const accepted = yield seal(sha256(appKey, shared, sharedLong), zeroNonce, hello)
  const accept = sha256(appKey, shared, sharedLong, x25519(convertSecret(identity.secretKey), theirs))
  open(accept, zeroNonce, accepted)
  const keys = { appKey, accept, remote, remoteEphemeral: theirs, local: identity.publicKey }
  return { session: session({ ...keys, localEphemeral: own.publicKey }) }
}

/** The server. `faulty` replaces parts of what it sends. */
function* server({ appKey, identity }, faulty = {}) {
  const greeting = yield
  const theirs = greeting.subarray(32)
  const own = ephemeral()
  const shown = faulty.ephemeral ?? own.publicKey
  const shared = x25519(own.secretKey, theirs)
  const sharedLong = x25519(convertSecret(identity.secretKey), theirs)
  const auth = yield concat(hmac(appKey, shown), shown)
  const hello = open(sha256(appKey, shared, sharedLong), zeroNonce, auth)
  const remote = hello.subarray(64)
  const accept = sha256(appKey, shared, sharedLong, x25519(own.secretKey, convertPublic(remote)))
  const signature = sign(identity.secretKey, appKey, hello, sha256(shared))
  const keys = { appKey, accept, remote, remoteEphemeral: theirs, local: identity.publicKey }
  return {
    last: seal(accept, zeroNonce, faulty.accept?.(signature) ?? signature),
    session: session({ ...keys, localEphemeral: own.publicKey })
  }
}

// ---- what nobody honest sends ----

/** The order of the group: added to a signature's scalar, it makes another one that verifies where nobody looks. */
const malleable = (signature) => {
  const order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010")
  const out = Buffer.from(signature)
  let carry = 0
  for (let i = 0; i < 32; i++) {
    const sum = out[32 + i] + order[i] + carry
    out[32 + i] = sum & 0xff
    carry = sum >> 8
  }
  return out
}

/** What a client may send in its handshake that must be refused, by name. */
const faultyClients = [
  ...smallOrder.map((point, i) => [`ephemeral of small order ${i}`, { ephemeral: point }]),
  ...degenerateKeys.map((key, i) => [
    `degenerate key ${i}`,
    { hello: () => concat(Buffer.from(degenerateKeys[0]), buffer(32), key) }
  ]),
  ["no signature", { hello: (_, publicKey) => concat(buffer(64), publicKey) }],
  ["a signature of something else", { hello: (signature, publicKey) => concat(flipped(signature), publicKey) }],
  ["a malleable signature", { hello: (signature, publicKey) => concat(malleable(signature), publicKey) }],
  ["another's key", { hello: (signature) => concat(signature, identity().publicKey) }]
]

/** The same of a server. */
const faultyServers = [
  ...smallOrder.map((point, i) => [`ephemeral of small order ${i}`, { ephemeral: point }]),
  ["no signature", { accept: () => buffer(64) }],
  ["a signature of something else", { accept: flipped }],
  ["a malleable signature", { accept: malleable }]
]

export const shs = {
  name: "shs",
  /** The lengths of the messages, in bytes. Each side sends two, the client first. */
  lengths: { client: [64, 112], server: [64, 80] },
  /** Of a packet's first part. */
  head: 34,
  /** The longest body that anybody sends, and the longest that a header can say. */
  maxBody: 4096,
  maxClaim: 65_535,
  client,
  server,
  faultyClients,
  faultyServers
}
