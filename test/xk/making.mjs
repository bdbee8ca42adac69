/**
 * What vectors of a handshake are made with, and nothing of this package: keys, frames and rekeying with node:crypto.
 * `noise/make-vectors.mjs` and `noisepq/make-vectors.mjs` say whose handshakes they are.
 */
import crypto from "node:crypto"

export const hex = (bytes) => Buffer.from(bytes).toString("hex")
/** Bytes that can be made again: byte i is (a*i + b) mod 251. */
export const pattern = (length, a, b) => Buffer.from(Array.from({ length }, (_, i) => (a * i + b) % 251))

// ---- keys ----

const p = 2n ** 255n - 19n
const power = (base, exponent) => {
  let out = 1n
  for (let e = exponent, b = base % p; e > 0n; e >>= 1n, b = (b * b) % p) if (e & 1n) out = (out * b) % p
  return out
}
const fromLittle = (bytes) => BigInt(`0x${hex(Buffer.from(bytes).reverse())}`)
const toLittle = (n) => Buffer.from(n.toString(16).padStart(64, "0"), "hex").reverse()

/** u = (1 + y) / (1 - y), whatever the sign. */
const x25519Public = (ed25519) => {
  const y = fromLittle(ed25519) & (2n ** 255n - 1n)
  return toLittle((((1n + y) % p) * power((1n - y + p) % p, p - 2n)) % p)
}
const x25519Secret = (seed) => {
  const scalar = crypto.createHash("sha512").update(seed).digest().subarray(0, 32)
  scalar[0] &= 248
  scalar[31] = (scalar[31] & 127) | 64
  return Buffer.from(scalar)
}
/** PKCS #8 of a raw key of 32 bytes; the last byte of the prefix's identifier tells X25519 (6e) from Ed25519 (70). */
const publicOf = (type, raw) => {
  const der = Buffer.concat([Buffer.from(`302e020100300506032b65${type}04220420`, "hex"), raw])
  const key = crypto.createPrivateKey({ key: der, format: "der", type: "pkcs8" })
  return Buffer.from(crypto.createPublicKey(key).export({ format: "jwk" }).x, "base64url")
}
const identity = (seed) => {
  const ed25519 = publicOf("70", seed)
  const secret = x25519Secret(seed)
  const x25519 = publicOf("6e", secret)
  if (!x25519.equals(x25519Public(ed25519))) throw new Error("the two ways to the X25519 key differ")
  return { seed, ed25519, secret, x25519 }
}
const ephemeral = (secret) => ({ secret, x25519: publicOf("6e", secret) })
const showIdentity = ({ ed25519, secret, seed, x25519 }) => ({
  seed: hex(seed),
  public_key: hex(ed25519),
  x25519_secret: hex(secret),
  x25519_public: hex(x25519)
})
const showEphemeral = ({ secret, x25519 }) => ({ secret: hex(secret), public: hex(x25519) })

// ---- frames ----

const nonceOf = (n) => {
  const out = Buffer.alloc(12)
  out.writeBigUInt64LE(n, 4)
  return out
}
export const seal = (key, n, plain) => {
  const cipher = crypto.createCipheriv("chacha20-poly1305", key, nonceOf(n), { authTagLength: 16 })
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}
export const u16 = (n) => Buffer.from([n >> 8, n & 255])
const rekey = (key) => seal(key, 2n ** 64n - 1n, Buffer.alloc(32)).subarray(0, 32)

/** A direction, from its key and next nonce. The 65,536th frame ends at nonce 131,072. */
export const direction = (start, first) => {
  let key = start
  let n = first
  return {
    frame: (body, length = body.length) => {
      const sealed = Buffer.concat([seal(key, n, u16(length)), seal(key, n + 1n, body)])
      n += 2n
      if (n % 131_072n === 0n) key = rekey(key)
      return sealed
    },
    head: (length) => seal(key, n, u16(length)),
    key: () => key
  }
}

// ---- handshakes ----

const copy = ({ secret, x25519 }) => ({ secretKey: Buffer.from(secret), publicKey: Buffer.from(x25519) })

/** What is said afterwards: of the initiator, then of the responder. */
const conversation = [["hello", "and goodbye"], ["welcome"]]
const texts = (of) => of.map((text) => Buffer.from(text))

/**
 * A handshake of a protocol: its `pskOf` and `prologueOf`, its `side`, and `random`, which sets what else a side draws.
 */
const handshake = ({
  appKey,
  claim,
  id,
  initiator,
  initiatorEphemeral,
  protocol,
  responder,
  responderEphemeral,
  sections = protocol.name,
  token
}) => {
  const psk = protocol.pskOf(appKey)
  const prologue = protocol.prologueOf(responder.ed25519, sections)
  const near = protocol.side(true, copy(initiator), psk)
  const far = protocol.side(false, copy(responder), psk)
  near.initialise(prologue, responder.x25519)
  far.initialise(prologue)
  near.e = copy(initiatorEphemeral)
  far.e = copy(responderEphemeral)
  Object.assign(near, protocol.random)
  Object.assign(far, protocol.random)
  const payload = Buffer.concat([claim ?? initiator.ed25519, token ?? Buffer.alloc(32)])
  const hello = Buffer.from(near.send())
  // It keeps a view of what it is given, and wipes it.
  far.recv(Buffer.from(hello))
  const challenge = Buffer.from(far.send())
  near.recv(Buffer.from(challenge))
  const auth = Buffer.from(near.send(payload))
  if (hex(far.recv(Buffer.from(auth))) !== hex(payload)) throw new Error("the payload did not arrive")
  if (hex(near.hash) !== hex(far.hash) || hex(near.tx) !== hex(far.rx)) throw new Error("the two sides differ")
  const [toResponder, toInitiator] = [Buffer.from(near.tx), Buffer.from(near.rx)]
  const [there, back] = [direction(toResponder, 0n), direction(toInitiator, 0n)]
  const accept = back.frame(Buffer.of(0))
  const [initiatorSays, responderSays] = conversation.map(texts)
  return {
    toInitiator,
    vector: {
      id,
      app_key: hex(appKey),
      psk: hex(psk),
      sections,
      initiator: showIdentity(initiator),
      initiator_ephemeral: showEphemeral(initiatorEphemeral),
      responder: showIdentity(responder),
      responder_ephemeral: showEphemeral(responderEphemeral),
      token: token === undefined ? null : hex(token),
      prologue: hex(prologue),
      hello: hex(hello),
      challenge: hex(challenge),
      auth_payload: hex(payload),
      auth: hex(auth),
      handshake_hash: hex(near.hash),
      initiator_to_responder_key: hex(toResponder),
      responder_to_initiator_key: hex(toInitiator),
      accept: hex(accept),
      session: {
        initiator_writes: conversation[0],
        responder_writes: conversation[1],
        initiator_wire: hex(
          Buffer.concat([hello, auth, ...initiatorSays.map((text) => there.frame(text)), there.head(0)])
        ),
        responder_wire: hex(
          Buffer.concat([challenge, accept, ...responderSays.map((text) => back.frame(text)), back.head(0)])
        )
      }
    }
  }
}

const alice = identity(pattern(32, 7, 11))
const bob = identity(pattern(32, 13, 5))
const people = {
  appKey: pattern(32, 3, 1),
  initiator: alice,
  initiatorEphemeral: ephemeral(pattern(32, 17, 2)),
  responder: bob,
  responderEphemeral: ephemeral(pattern(32, 19, 3))
}

const negative = (key) => {
  const out = Buffer.from(key)
  out[31] ^= 0x80
  return out
}

export const damaged = (frame, at) => {
  const out = Buffer.from(frame)
  out[at] ^= 1
  return out
}

/** The handshakes of a protocol, and what is refused in the place of their third message and of their accept frame. */
export const profileOf = (protocol) => {
  const base = { ...people, protocol }
  const first = handshake({ ...base, id: "plain" })
  const handshakes = [
    first,
    handshake({ ...base, id: "token", token: pattern(32, 23, 7) }),
    handshake({ ...base, id: "other-app-key", appKey: pattern(32, 29, 9) }),
    handshake({ ...base, id: "self", initiator: bob }),
    handshake({ ...base, id: "under-deflate", sections: `${protocol.name}~deflate` })
  ]

  const claims = [
    ["another-key", bob.ed25519, "refuse"],
    ["not-a-point", Buffer.from(`02${"00".repeat(31)}`, "hex"), "refuse"],
    ["identity-point", Buffer.from(`01${"00".repeat(31)}`, "hex"), "refuse"],
    ["order-8", Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex"), "refuse"],
    ["not-canonical", Buffer.from(`ed${"ff".repeat(30)}7f`, "hex"), "refuse"],
    ["zeros", Buffer.alloc(32), "refuse"],
    // One scalar has both: whoever proves the one could sign for the other.
    ["negative", negative(alice.ed25519), "accept"]
  ].map(([id, claim, expect]) => ({
    id,
    claim: hex(claim),
    auth: handshake({ ...base, id, claim }).vector.auth,
    expect
  }))

  const acceptKey = first.toInitiator
  const accept = direction(acceptKey, 0n).frame(Buffer.of(0))
  const accepts = [
    ["body-01", "body", direction(acceptKey, 0n).frame(Buffer.of(1))],
    ["two-bytes", "head", direction(acceptKey, 0n).frame(Buffer.alloc(2))],
    ["end", "head", direction(acceptKey, 0n).head(0)],
    ["second-nonce", "head", direction(acceptKey, 2n).frame(Buffer.of(0))],
    ["head-flipped", "head", damaged(accept, 0)],
    ["body-flipped", "body", damaged(accept, 18)],
    ["tag-flipped", "body", damaged(accept, 34)]
  ].map(([id, fails_at, frame]) => ({ id, fails_at, frame: hex(frame) }))
  return {
    handshakes: handshakes.map(({ vector }) => vector),
    claims: { handshake: "plain", vectors: claims },
    accepts: { handshake: "plain", vectors: accepts }
  }
}
