/**
 * `Primitives` on libsodium, through the native addon `sodium-native`.
 *
 * libsodium 1.0.21 and later refuses what wire.md 1.7 wants refused: small-order points, keys outside the main subgroup,
 * non-canonical signatures.
 */
import * as Layer from "effect/Layer"
import sodium from "sodium-native"
import { Primitives } from "./Primitives.ts"

/** The binding throws on a bad point, and a peer can send one: what it can provoke becomes a value here. */
const orUndefined = (out: Uint8Array, compute: () => void): Uint8Array | undefined => {
  try {
    compute()
    return out
  } catch {
    return undefined
  }
}

const make: Primitives["Service"] = {
  random: (length) => {
    const out = new Uint8Array(length)
    sodium.randombytes_buf(out)
    return out
  },
  x25519KeyPair: () => {
    const publicKey = new Uint8Array(32)
    const secretKey = new Uint8Array(32)
    sodium.crypto_box_keypair(publicKey, secretKey)
    return { publicKey, secretKey }
  },
  x25519: (secretKey, publicKey) => {
    const out = new Uint8Array(32)
    return orUndefined(out, () => sodium.crypto_scalarmult(out, secretKey, publicKey))
  },
  ed25519KeyPair: (seed) => {
    const publicKey = new Uint8Array(32)
    const secretKey = new Uint8Array(64)
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
    return { publicKey, secretKey }
  },
  sign: (message, secretKey) => {
    const signature = new Uint8Array(64)
    sodium.crypto_sign_detached(signature, message, secretKey)
    return signature
  },
  verify: (signature, message, publicKey) => sodium.crypto_sign_verify_detached(signature, message, publicKey),
  x25519FromPublicKey: (publicKey) => {
    const out = new Uint8Array(32)
    return orUndefined(out, () => sodium.crypto_sign_ed25519_pk_to_curve25519(out, publicKey))
  },
  x25519FromSecretKey: (secretKey) => {
    const out = new Uint8Array(32)
    sodium.crypto_sign_ed25519_sk_to_curve25519(out, secretKey)
    return out
  },
  hmac: (key, message) => {
    const out = new Uint8Array(32)
    sodium.crypto_auth(out, message, key)
    return out
  },
  sha256: (message) => {
    const out = new Uint8Array(32)
    sodium.crypto_hash_sha256(out, message)
    return out
  },
  boxSeal: (box, message, nonce, key) => sodium.crypto_secretbox_easy(box, message, nonce, key),
  boxOpen: (message, box, nonce, key) => sodium.crypto_secretbox_open_easy(message, box, nonce, key),
  boxSealDetached: (cipher, mac, message, nonce, key) =>
    sodium.crypto_secretbox_detached(cipher, mac, message, nonce, key),
  boxOpenDetached: (message, cipher, mac, nonce, key) =>
    sodium.crypto_secretbox_open_detached(message, cipher, mac, nonce, key),
  equal: (a, b) => a.length === b.length && sodium.sodium_memcmp(a, b),
  wipe: (bytes) => sodium.sodium_memzero(bytes)
}

/** libsodium's primitives. */
export const layer: Layer.Layer<Primitives> = Layer.succeed(Primitives, make)
