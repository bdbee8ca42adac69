/**
 * `Kem` on `node:crypto`, which has ML-KEM since Node 24.7. On older versions, and on runtimes without it, the layer
 * gives that of `NobleKem`. Both accept and refuse the same, and talk with each other (test/crypto/kem.test.ts).
 */
import * as crypto from "node:crypto"
import * as Layer from "effect/Layer"
import { Kem, publicKeyLength } from "./Kem.ts"
import * as NobleKem from "./NobleKem.ts"
import { orUndefined } from "./orUndefined.ts"

/** What stands before the 1,184 bytes of a public key in its SubjectPublicKeyInfo (RFC 9935). */
const publicPrefix = Buffer.from("308204b2300b0609608648016503040402038204a100", "hex")
/** What stands before the 64 bytes of a seed in its PKCS #8 (RFC 9935). */
const secretPrefix = Buffer.from("3054020100300b060960864801650304040204428040", "hex")

const concat = (prefix: Uint8Array, rest: Uint8Array): Uint8Array => {
  const out = new Uint8Array(prefix.length + rest.length)
  out.set(prefix)
  out.set(rest, prefix.length)
  return out
}

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
/** Whoever calls `slice` means a copy, and that of a Buffer is none. */
const arrayOf = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)

const secretKeyOf = (bytes: Uint8Array) => ({ key: bufferOf(bytes), format: "der", type: "pkcs8" }) as const
const publicKeyOf = (bytes: Uint8Array) => ({ key: bufferOf(bytes), format: "der", type: "spki" }) as const

const ofSeed = (seed: Uint8Array) => {
  // The seed in its PKCS #8. OpenSSL's own copy of the key can't be wiped: it is gone when its object is collected.
  const secretKey = concat(secretPrefix, seed)
  const publicKey = crypto.createPublicKey(crypto.createPrivateKey(secretKeyOf(secretKey)))
  const spki = publicKey.export({ format: "der", type: "spki" })
  return { publicKey: arrayOf(spki.subarray(publicPrefix.length)), secretKey }
}

const native: Kem["Service"] = {
  keyPair: (seed) => {
    if (seed !== undefined) return ofSeed(seed)
    const fresh = crypto.randomFillSync(new Uint8Array(64))
    const pair = ofSeed(fresh)
    fresh.fill(0)
    return pair
  },
  encapsulate: (publicKey) => {
    if (publicKey.length !== publicKeyLength) return undefined
    return orUndefined(() => {
      const { ciphertext, sharedKey } = crypto.encapsulate(publicKeyOf(concat(publicPrefix, publicKey)))
      return { ciphertext: arrayOf(ciphertext), secret: arrayOf(sharedKey) }
    })
  },
  decapsulate: (secretKey, ciphertext) =>
    orUndefined(() => arrayOf(crypto.decapsulate(secretKeyOf(secretKey), ciphertext)))
}

/**
 * Whether this runtime has ML-KEM. Not every one with the functions does: Electron has another library in place of
 * OpenSSL.
 */
const hasMlKem = (): boolean =>
  typeof crypto.encapsulate === "function" && orUndefined(() => ofSeed(new Uint8Array(64))) !== undefined

/**
 * ML-KEM-768 on `node:crypto`, where this Node has it, and in JavaScript where it has not.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<Kem> = Layer.suspend(() => (hasMlKem() ? Layer.succeed(Kem, native) : NobleKem.layer))
