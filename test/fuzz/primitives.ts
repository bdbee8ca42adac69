/**
 * Primitives for fuzzing. They keep what protocols rely on (two sides agree, what was changed does not open) at a
 * thousandth of the price and without any secrecy, so that a fuzzer gets past the MACs and does so often.
 */
import type { Kem } from "../../src/crypto/Kem.ts"
import type { NoisePrimitives } from "../../src/crypto/Primitives.ts"
import { primitives as native } from "../support/primitives.ts"
import type { Random } from "./random.ts"

type Service = NoisePrimitives["Service"]

/** 32 bytes of everything that was given, two lanes of FNV stretched. */
const digest = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  let a = 0x811c9dc5
  let b = 0x050c5d1f
  for (const part of parts) {
    a = Math.imul(a ^ part.length, 0x01000193)
    for (let i = 0; i < part.length; i++) {
      a = Math.imul(a ^ (part[i] as number), 0x01000193)
      b = Math.imul(b + (part[i] as number), 0x9e3779b1)
    }
  }
  const out = new Uint8Array(32)
  for (let i = 0; i < 32; i++) {
    a = Math.imul(a ^ (a >>> 13), 0x5bd1e995) + b
    b = (b << 5) | (b >>> 27)
    out[i] = a >>> 8
  }
  return out
}

const xor = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const out = new Uint8Array(a.length)
  for (let i = 0; i < out.length; i++) out[i] = (a[i] as number) ^ (b[i] as number)
  return out
}

const both = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const out = new Uint8Array(a.length + b.length)
  out.set(a)
  out.set(b, a.length)
  return out
}

/** What stands for a point that nothing should be done with. */
const isDegenerate = (point: Uint8Array): boolean => point.every((byte) => byte === point[0])

const mask = Uint8Array.from({ length: 32 }, (_, i) => (i * 37 + 11) & 255)

/** Boxes are the plaintext behind what `tagOf` says, and open when that is what is there. */
const boxes = (tagOf: (...of: ReadonlyArray<Uint8Array>) => Uint8Array) => {
  const matches = (mac: Uint8Array, tag: Uint8Array) =>
    mac.length === tag.length && mac.every((byte, i) => byte === tag[i])
  return {
    boxSeal: (box, message, nonce, key) => {
      box.set(message, 16)
      box.set(tagOf(key, nonce, message))
    },
    boxOpen: (message, box, nonce, key) => {
      message.set(box.subarray(16))
      return matches(box.subarray(0, 16), tagOf(key, nonce, box.subarray(16)))
    },
    boxSealDetached: (cipher, mac, message, nonce, key) => {
      mac.set(tagOf(key, nonce, message))
      cipher.set(message)
    },
    boxOpenDetached: (message, cipher, mac, nonce, key) => {
      const opens = matches(mac, tagOf(key, nonce, cipher))
      message.set(cipher)
      return opens
    },
    aeadSeal: (sealed, message, associated, nonce, key) => {
      const tag = tagOf(key, nonce, message, associated)
      sealed.set(message)
      sealed.set(tag, message.length)
    },
    aeadOpen: (message, sealed, associated, nonce, key) => {
      const body = sealed.subarray(0, message.length)
      const opens = matches(sealed.subarray(message.length), tagOf(key, nonce, body, associated))
      message.set(body)
      return opens
    },
    aeadLargeOpener: (key) => (sealed, nonce) => {
      const body = sealed.slice(0, -16)
      return matches(sealed.subarray(-16), tagOf(key, nonce, body, new Uint8Array(0))) ? body : undefined
    }
  } satisfies Partial<Service>
}

const secretOf = (secretKey: Uint8Array): Uint8Array => digest(secretKey.subarray(0, 32))

/** For handshakes: an exchange of keys, signatures and boxes that hold against everything but a reader of this file. */
export const cheap: Service = {
  ...native,
  x25519: (secretKey, publicKey) => (isDegenerate(publicKey) ? undefined : xor(xor(secretKey, mask), publicKey)),
  x25519PublicKey: (secretKey) => xor(secretKey, mask),
  ed25519KeyPair: (seed) => {
    const secret = secretOf(seed)
    const publicKey = xor(secret, mask)
    return { publicKey, secretKey: both(seed, publicKey) }
  },
  sign: (message, secretKey) => {
    const half = digest(secretKey.subarray(32), message)
    return both(half, digest(half))
  },
  verify: (signature, message, publicKey) => {
    const half = digest(publicKey, message)
    return Buffer.compare(signature, both(half, digest(half))) === 0
  },
  x25519FromPublicKey: (publicKey) => (isDegenerate(publicKey) || publicKey[31] === 0 ? undefined : publicKey),
  x25519FromSecretKey: secretOf,
  hmac: (key, message) => digest(key, message),
  sha256: (message) => digest(message),
  blake2b: (hash, message, key) => {
    const half = key === undefined ? digest(message) : digest(key, message)
    hash.set(both(half, digest(half)).subarray(0, hash.length))
  },
  equal: (a, b) => Buffer.compare(a, b) === 0,
  wipe: (bytes) => void bytes.fill(0),
  ...boxes((...of) => digest(...of).subarray(0, 16))
}

/** The X25519 pair of these 32 bytes. */
export const cheapPair = (secretKey: Uint8Array) => ({ secretKey, publicKey: xor(secretKey, mask) })

/** `length` bytes of these 32, again and again. */
const repeated = (bytes: Uint8Array, length: number): Uint8Array =>
  Uint8Array.from({ length }, (_, i) => (bytes[i & 31] as number) ^ (i >> 5))

const kemSecret = mask.map((byte, i) => byte ^ (i * 53 + 7))

/**
 * A KEM whose pairs are all the same, and so is what is made for a key: conversations are to come out the same again. A
 * key whose first 32 bytes are all the same is none.
 */
export const cheapKem: Kem["Service"] = {
  keyPair: () => ({ publicKey: repeated(xor(kemSecret, mask), 1184), secretKey: kemSecret.slice() }),
  encapsulate: (publicKey) => {
    if (isDegenerate(publicKey.subarray(0, 32))) return undefined
    const ciphertext = repeated(digest(publicKey), 1088)
    return { ciphertext, secret: digest(publicKey.subarray(0, 32), ciphertext) }
  },
  decapsulate: (secretKey, ciphertext) => digest(xor(secretKey, mask), ciphertext)
}

/** The MAC of every box of `identity`. */
export const fixedMac = new Uint8Array(16).fill(0x5a)

/** For readers of boxes: a box is its plaintext behind a MAC that is always the same. */
export const identity: Service = { ...cheap, ...boxes(() => fixedMac) }

/**
 * Primitives that lie once, at call `at`: one bit of what goes in or of what comes out. Whose they are is an insider
 * gone wrong.
 */
export const lying = (primitives: Service, random: Random, at: number): Service => {
  let calls = 0
  const flipped = (value: unknown): unknown => {
    if (typeof value === "boolean") return !value
    if (!(value instanceof Uint8Array) || value.length === 0) return value
    const out = value.slice()
    const place = random.below(out.length)
    if (random.oneIn(6)) out.fill(0)
    else out[place] = (out[place] as number) ^ (1 << random.below(8))
    return out
  }
  return new Proxy(primitives, {
    get: (target, name) => {
      const call: unknown = Reflect.get(target, name)
      if (typeof call !== "function" || name === "wipe") return call
      return (...args: Array<unknown>) => {
        if (calls++ !== at) return Reflect.apply(call, undefined, args)
        const which = random.below(args.length + 1)
        if (which === args.length) return flipped(Reflect.apply(call, undefined, args))
        args[which] = flipped(args[which])
        return Reflect.apply(call, undefined, args)
      }
    }
  })
}
