/**
 * `Primitives` in JavaScript, on the audited libraries `@noble/curves`, `@noble/ciphers` and `@noble/hashes`: for
 * browsers, workers and React Native. Synchronous, without WebAssembly, and allowed by any Content Security Policy.
 *
 * It accepts and refuses just what `Sodium.layer` does (test/crypto/agree.test.ts). It takes about a millisecond for an
 * operation on a curve, and some 10 times as long as libsodium for a packet.
 *
 * Copies that this module makes of a secret are wiped. Those that the libraries make of a number, a scalar for example,
 * are not: JavaScript has no way to overwrite a bigint.
 */
import { chacha20poly1305 } from "@noble/ciphers/chacha.js"
import { xsalsa20poly1305 } from "@noble/ciphers/salsa.js"
import { ed25519, x25519 } from "@noble/curves/ed25519.js"
import { bytesToNumberLE } from "@noble/curves/utils.js"
import { blake2b } from "@noble/hashes/blake2.js"
import { hmac } from "@noble/hashes/hmac.js"
import { sha256, sha512 } from "@noble/hashes/sha2.js"
import * as Layer from "effect/Layer"
import { orUndefined } from "./orUndefined.ts"
import { layer as layerOf, type NoisePrimitives, Primitives } from "./Primitives.ts"

const { Point } = ed25519

/** The point of canonical bytes. `undefined`: they are no such bytes, or the point has small order. */
const pointOf = (bytes: Uint8Array) => {
  const point = orUndefined(() => Point.fromBytes(bytes))
  return point?.isSmallOrder() === false ? point : undefined
}

/** Throws for a wrong length, as libsodium does, because it is the caller's mistake and not a peer's. */
const checkLength = (bytes: Uint8Array, length: number): void => {
  if (bytes.length !== length) throw new RangeError(`expected ${length} bytes, got ${bytes.length}`)
}

/** Compares in a time that depends on the lengths only. */
const equal = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  let difference = 0
  for (let i = 0; i < a.length; i++) difference |= (a[i] as number) ^ (b[i] as number)
  return difference === 0
}

const wipe = (bytes: Uint8Array): void => {
  bytes.fill(0)
}

/** The most that a platform gives at once. */
const maxRandom = 65_536

const random = (length: number): Uint8Array => {
  const out = new Uint8Array(length)
  for (let at = 0; at < length; at += maxRandom) crypto.getRandomValues(out.subarray(at, at + maxRandom))
  return out
}

/** The seed of a 64-byte secret key. */
const seedOf = (secretKey: Uint8Array): Uint8Array => {
  checkLength(secretKey, 64)
  return secretKey.subarray(0, 32)
}

/**
 * Ed25519 verification without the cofactor, as libsodium does it. `ed25519.verify` multiplies by the cofactor, so it
 * accepts signatures that libsodium refuses, and two peers could disagree on who somebody is.
 */
const verify = (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean => {
  checkLength(signature, 64)
  checkLength(publicKey, 32)
  const key = pointOf(publicKey)
  if (key === undefined) return false
  const commitment = signature.subarray(0, 32)
  const hashed = sha512.create().update(commitment).update(publicKey).update(message).digest()
  const challenge = Point.Fn.create(bytesToNumberLE(hashed))
  // Throws for a number that is not below the order of the group.
  const base = orUndefined(() => Point.BASE.multiplyUnsafe(bytesToNumberLE(signature.subarray(32))))
  const expected = base?.subtract(key.multiplyUnsafe(challenge))
  return expected?.isSmallOrder() === false && equal(expected.toBytes(), commitment)
}

/** Seals into new memory, because the library uses the 32 bytes before a box. Returns the MAC, and then the cipher. */
const sealed = (message: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array =>
  xsalsa20poly1305(key, nonce).encrypt(message, new Uint8Array(message.length + 32))

/** Opens `box` in memory of its own, which is wiped afterwards, and copies the plaintext into `message`. */
const opens = (message: Uint8Array, box: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean => {
  checkLength(message, box.length - 16)
  const room = new Uint8Array(box.length + 32)
  const opened = orUndefined(() => xsalsa20poly1305(key, nonce).decrypt(box, room))
  if (opened !== undefined) message.set(opened)
  wipe(room)
  return opened !== undefined
}

const make: Primitives["Service"] = {
  random,
  x25519KeyPair: () => {
    const secretKey = random(32)
    return { publicKey: x25519.getPublicKey(secretKey), secretKey }
  },
  x25519: (secretKey, publicKey) => orUndefined(() => x25519.getSharedSecret(secretKey, publicKey)),
  x25519PublicKey: (secretKey) => x25519.getPublicKey(secretKey),
  ed25519KeyPair: (seed) => {
    const publicKey = ed25519.getPublicKey(seed)
    const secretKey = new Uint8Array(64)
    secretKey.set(seed)
    secretKey.set(publicKey, 32)
    return { publicKey, secretKey }
  },
  sign: (message, secretKey) => ed25519.sign(message, seedOf(secretKey)),
  verify,
  x25519FromPublicKey: (publicKey) =>
    // The library converts points outside the main subgroup too.
    pointOf(publicKey)?.isTorsionFree() === true ? ed25519.utils.toMontgomery(publicKey) : undefined,
  x25519FromSecretKey: (secretKey) => {
    const hashed = sha512(seedOf(secretKey))
    const out = hashed.slice(0, 32)
    wipe(hashed)
    out[0] = (out[0] as number) & 248
    out[31] = ((out[31] as number) & 127) | 64
    return out
  },
  hmac: (key, message) => {
    checkLength(key, 32)
    return hmac(sha512, key, message).slice(0, 32)
  },
  sha256: (message) => sha256(message),
  boxSeal: (box, message, nonce, key) => {
    checkLength(box, message.length + 16)
    box.set(sealed(message, nonce, key))
  },
  boxOpen: opens,
  boxSealDetached: (cipher, mac, message, nonce, key) => {
    checkLength(cipher, message.length)
    checkLength(mac, 16)
    const box = sealed(message, nonce, key)
    mac.set(box.subarray(0, 16))
    cipher.set(box.subarray(16))
  },
  boxOpenDetached: (message, cipher, mac, nonce, key) => {
    checkLength(mac, 16)
    const box = new Uint8Array(16 + cipher.length)
    box.set(mac)
    box.set(cipher, 16)
    return opens(message, box, nonce, key)
  },
  equal,
  wipe
}

/**
 * `Primitives` and `NoisePrimitives` in JavaScript, for every platform that has `crypto.getRandomValues`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Primitives | NoisePrimitives> = layerOf({
  ...make,
  aeadSeal: (sealed, message, associated, nonce, key) => {
    chacha20poly1305(key, nonce, associated).encrypt(message, sealed)
  },
  aeadOpen: (message, sealed, associated, nonce, key) =>
    orUndefined(() => chacha20poly1305(key, nonce, associated).decrypt(sealed, message)) !== undefined,
  blake2b: (hash, message, key) => {
    hash.set(blake2b(message, { dkLen: hash.length, ...(key && { key }) }))
  }
})

/**
 * `Primitives` alone, for a smaller bundle: what `shs` and an identity need.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoNoise: Layer.Layer<Primitives> = Layer.succeed(Primitives, make)
