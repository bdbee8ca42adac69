/**
 * `Primitives` on libsodium, through the native addon `sodium-native`.
 *
 * libsodium 1.0.21 and later refuses what docs/wire.md wants refused: small-order points, keys outside the main
 * subgroup, non-canonical signatures.
 *
 * ChaCha20-Poly1305 is libsodium's wherever the caller provides memory for the output. Measured CPU time per call: 1 us
 * at 18 bytes, and 37 us at 64 KiB. node:crypto makes an object for each message and allocates each output: at 64 KiB
 * that takes 12 us, and OpenSSL's cipher 19 us. So node:crypto opens large messages that are to get new memory anyway.
 */
import { createDecipheriv, createSecretKey, getCiphers } from "node:crypto"
import type * as Layer from "effect/Layer"
import sodium from "sodium-native"
import { layer as layerOf, type NoisePrimitives, type Primitives } from "./Primitives.ts"
import { scratch } from "./scratch.ts"

/** The binding throws on a bad point or a wrong MAC. A peer can send these, so the exception becomes a value here. */
const succeeds = (compute: () => void): boolean => {
  try {
    compute()
    return true
  } catch {
    return false
  }
}
const orUndefined = (out: Uint8Array, compute: () => void): Uint8Array | undefined =>
  succeeds(compute) ? out : undefined

const openssl = "chacha20-poly1305"
const tagLength = { authTagLength: 16 }

/** Opens large messages with node:crypto. */
const aeadLargeOpener: NonNullable<NoisePrimitives["Service"]["aeadLargeOpener"]> = (key) => {
  // A KeyObject, because node:crypto makes one of a raw key at each call, in 12 us. It can't be wiped.
  const keyObject = createSecretKey(key)
  return (sealed, nonce) => {
    const length = sealed.length - tagLength.authTagLength
    const cipher = createDecipheriv(openssl, keyObject, nonce, tagLength)
    cipher.setAuthTag(sealed.subarray(length))
    const message = cipher.update(sealed.subarray(0, length))
    return succeeds(() => cipher.final()) ? message : undefined
  }
}

const make: NoisePrimitives["Service"] = {
  random: (length) => {
    const out = new Uint8Array(length)
    sodium.randombytes_buf(out)
    return out
  },
  x25519KeyPair: () => {
    const publicKey = scratch(32)
    const secretKey = scratch(32)
    sodium.crypto_box_keypair(publicKey, secretKey)
    return { publicKey, secretKey }
  },
  x25519: (secretKey, publicKey) => {
    const out = scratch(32)
    return orUndefined(out, () => sodium.crypto_scalarmult(out, secretKey, publicKey))
  },
  x25519PublicKey: (secretKey) => {
    const out = new Uint8Array(32)
    sodium.crypto_scalarmult_base(out, secretKey)
    return out
  },
  ed25519KeyPair: (seed) => {
    const publicKey = new Uint8Array(32)
    const secretKey = new Uint8Array(64)
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
    return { publicKey, secretKey }
  },
  sign: (message, secretKey) => {
    const signature = scratch(64)
    sodium.crypto_sign_detached(signature, message, secretKey)
    return signature
  },
  verify: (signature, message, publicKey) => sodium.crypto_sign_verify_detached(signature, message, publicKey),
  x25519FromPublicKey: (publicKey) => {
    const out = new Uint8Array(32)
    return orUndefined(out, () => sodium.crypto_sign_ed25519_pk_to_curve25519(out, publicKey))
  },
  x25519FromSecretKey: (secretKey) => {
    const out = scratch(32)
    sodium.crypto_sign_ed25519_sk_to_curve25519(out, secretKey)
    return out
  },
  hmac: (key, message) => {
    const out = scratch(32)
    sodium.crypto_auth(out, message, key)
    return out
  },
  sha256: (message) => {
    const out = scratch(32)
    sodium.crypto_hash_sha256(out, message)
    return out
  },
  boxSeal: (box, message, nonce, key) => sodium.crypto_secretbox_easy(box, message, nonce, key),
  boxOpen: (message, box, nonce, key) => sodium.crypto_secretbox_open_easy(message, box, nonce, key),
  boxSealDetached: (cipher, mac, message, nonce, key) =>
    sodium.crypto_secretbox_detached(cipher, mac, message, nonce, key),
  boxOpenDetached: (message, cipher, mac, nonce, key) =>
    sodium.crypto_secretbox_open_detached(message, cipher, mac, nonce, key),
  aeadSeal: (sealed, message, associated, nonce, key) => {
    sodium.crypto_aead_chacha20poly1305_ietf_encrypt(sealed, message, associated, null, nonce, key)
  },
  aeadOpen: (message, sealed, associated, nonce, key) =>
    succeeds(() => sodium.crypto_aead_chacha20poly1305_ietf_decrypt(message, null, sealed, associated, nonce, key)),
  // Not every runtime has this cipher: Electron has another library in place of OpenSSL.
  ...(getCiphers().includes(openssl) && { aeadLargeOpener }),
  blake2b: (hash, message, key) => sodium.crypto_generichash(hash, message, key),
  equal: (a, b) => a.length === b.length && sodium.sodium_memcmp(a, b),
  wipe: (bytes) => sodium.sodium_memzero(bytes)
}

/**
 * `Primitives` and `NoisePrimitives` on libsodium, for Node.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Primitives | NoisePrimitives> = layerOf(make)
