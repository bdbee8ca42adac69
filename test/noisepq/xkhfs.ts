/**
 * Noise's XKhfs+psk0 with ML-KEM-768, token by token as the framework and its draft `hfs` have them: on node:crypto,
 * with the ML-KEM of `mlkem.ts`, and nothing of ours. A peer for tests, and for vectors.
 */
import * as crypto from "node:crypto"
import { blake2b } from "../noise/blake2b.ts"
import type { Pair, Side } from "../noise/xkpsk0.ts"
import { decaps, encaps, keyGen } from "./mlkem.ts"

export const protocolName = "Noise_XKhfs+psk0_25519+MLKEM768_ChaChaPoly_BLAKE2b"

/** The app key, as the handshake takes it (docs/noisepq.md). */
export const pskOf = (appKey: Uint8Array): Uint8Array =>
  blake2b(32, Buffer.from("effect-multiserver/noisepq/1/psk"), appKey)

export const prologueOf = (responder: Uint8Array, sections = "noisepq"): Uint8Array =>
  Buffer.concat([Buffer.from("effect-multiserver/noisepq/1\0"), responder, Buffer.from(sections)])

const x25519 = (secret: Uint8Array, theirs: Uint8Array): Uint8Array =>
  crypto.diffieHellman({
    privateKey: crypto.createPrivateKey({
      key: Buffer.concat([Buffer.from("302e020100300506032b656e04220420", "hex"), secret]),
      format: "der",
      type: "pkcs8"
    }),
    publicKey: crypto.createPublicKey({
      key: Buffer.concat([Buffer.from("302a300506032b656e032100", "hex"), theirs]),
      format: "der",
      type: "spki"
    })
  })

const hash = (...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  crypto.createHash("blake2b512").update(Buffer.concat(parts)).digest()
const hmac = (key: Uint8Array, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  crypto.createHmac("blake2b512", key).update(Buffer.concat(parts)).digest()
const hkdf = (chaining: Uint8Array, input: Uint8Array): readonly [Uint8Array, Uint8Array, Uint8Array] => {
  const secret = hmac(chaining, input)
  const first = hmac(secret, Uint8Array.of(1))
  const second = hmac(secret, first, Uint8Array.of(2))
  return [first, second, hmac(secret, second, Uint8Array.of(3))]
}

const nonceOf = (count: number): Uint8Array => {
  const nonce = Buffer.alloc(12)
  nonce.writeBigUInt64LE(BigInt(count), 4)
  return nonce
}
const empty: Uint8Array = new Uint8Array(0)
const chacha = "chacha20-poly1305"
const tag = { authTagLength: 16 }

class Symmetric {
  hash: Uint8Array
  private chaining: Uint8Array
  private key: Uint8Array = empty
  private count = 0

  constructor() {
    this.hash = Buffer.concat([Buffer.from(protocolName)], 64)
    this.chaining = this.hash
  }

  mixHash(data: Uint8Array): void {
    this.hash = hash(this.hash, data)
  }

  mixKey(input: Uint8Array): void {
    const [chaining, key] = hkdf(this.chaining, input)
    this.chaining = chaining
    this.key = key.subarray(0, 32)
    this.count = 0
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [chaining, mixed, key] = hkdf(this.chaining, input)
    this.chaining = chaining
    this.mixHash(mixed)
    this.key = key.subarray(0, 32)
    this.count = 0
  }

  seal(plain: Uint8Array): Uint8Array {
    const cipher = crypto.createCipheriv(chacha, this.key, nonceOf(this.count++), tag)
    cipher.setAAD(this.hash, { plaintextLength: plain.length })
    const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    this.mixHash(sealed)
    return sealed
  }

  /** Throws at what is not sealed so. */
  open(sealed: Uint8Array): Uint8Array {
    const cipher = crypto.createDecipheriv(chacha, this.key, nonceOf(this.count++), tag)
    cipher.setAAD(this.hash, { plaintextLength: sealed.length - 16 })
    cipher.setAuthTag(sealed.subarray(-16))
    const plain = Buffer.concat([cipher.update(sealed.subarray(0, -16)), cipher.final()])
    this.mixHash(sealed)
    return plain
  }

  split(): readonly [Uint8Array, Uint8Array] {
    const [first, second] = hkdf(this.chaining, new Uint8Array(0))
    return [first.subarray(0, 32), second.subarray(0, 32)]
  }
}

/** A side whose random bytes can be set before its first message. */
export interface HybridSide extends Side {
  /** The seed of the initiator's KEM key, 64 bytes. */
  seed: Uint8Array
  /** The responder's coins, 32 bytes. */
  coins: Uint8Array
}

const freshPair = (): Pair => {
  const { privateKey, publicKey } = crypto.generateKeyPairSync("x25519")
  return {
    secretKey: privateKey.export({ format: "der", type: "pkcs8" }).subarray(-32),
    publicKey: publicKey.export({ format: "der", type: "spki" }).subarray(-32)
  }
}

export const xkhfs = (initiator: boolean, own: Pair, psk: Uint8Array): HybridSide => {
  const state = new Symmetric()
  let [theirStatic, theirEphemeral, kemSecret, theirKem] = [empty, empty, empty, empty]
  let turn = 0
  const begin = (e: Uint8Array) => {
    state.mixHash(e)
    state.mixKey(e)
  }
  const side = {
    seed: crypto.randomBytes(64) as Uint8Array,
    coins: crypto.randomBytes(32) as Uint8Array,
    e: null as Pair | null,
    tx: empty,
    rx: empty,
    rs: empty,
    hash: empty,
    initialise: (prologue: Uint8Array, remote?: Uint8Array) => {
      if (remote !== undefined) theirStatic = Buffer.from(remote)
      state.mixHash(prologue)
      state.mixHash(remote ?? own.publicKey)
    },
    send: (payload: Uint8Array = empty): Uint8Array => {
      const e = side.e ?? freshPair()
      side.e = e
      switch (turn++) {
        // psk, e, es, e1
        case 0: {
          state.mixKeyAndHash(psk)
          begin(e.publicKey)
          state.mixKey(x25519(e.secretKey, theirStatic))
          const { dk, ek } = keyGen(side.seed)
          kemSecret = dk
          return Buffer.concat([e.publicKey, state.seal(ek), state.seal(payload)])
        }
        // e, ee, ekem1
        case 1: {
          begin(e.publicKey)
          state.mixKey(x25519(e.secretKey, theirEphemeral))
          const { ciphertext, secret } = encaps(theirKem, side.coins)
          const sealed = state.seal(ciphertext)
          state.mixKey(secret)
          return Buffer.concat([e.publicKey, sealed, state.seal(payload)])
        }
        // s, se
        default: {
          const sealed = state.seal(own.publicKey)
          state.mixKey(x25519(own.secretKey, theirEphemeral))
          const message = Buffer.concat([sealed, state.seal(payload)])
          side.finish()
          return message
        }
      }
    },
    recv: (message: Uint8Array): Uint8Array => {
      switch (turn++) {
        case 0:
          state.mixKeyAndHash(psk)
          theirEphemeral = Buffer.from(message.subarray(0, 32))
          begin(theirEphemeral)
          state.mixKey(x25519(own.secretKey, theirEphemeral))
          theirKem = state.open(message.subarray(32, 1232))
          return state.open(message.subarray(1232))
        case 1: {
          theirEphemeral = Buffer.from(message.subarray(0, 32))
          begin(theirEphemeral)
          state.mixKey(x25519((side.e as Pair).secretKey, theirEphemeral))
          const ciphertext = state.open(message.subarray(32, 1136))
          state.mixKey(decaps(kemSecret, ciphertext))
          return state.open(message.subarray(1136))
        }
        default: {
          theirStatic = state.open(message.subarray(0, 48))
          state.mixKey(x25519((side.e as Pair).secretKey, theirStatic))
          const payload = state.open(message.subarray(48))
          side.finish()
          return payload
        }
      }
    },
    finish: () => {
      const [there, back] = state.split()
      side.tx = initiator ? there : back
      side.rx = initiator ? back : there
      side.rs = theirStatic
      side.hash = state.hash
    }
  }
  return side
}
