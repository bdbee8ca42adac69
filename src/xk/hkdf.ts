/** Noise's HKDF over HMAC (RFC 2104), for any hash. A handshake runs it seven times, which is most of its hashing. */
import type { NoisePrimitives } from "../crypto/Primitives.ts"

export interface Hash {
  readonly name: string
  /** HASHLEN and BLOCKLEN. */
  readonly length: number
  readonly blockLength: number
  /** Fills `out`, which is `length` bytes long and does not overlap `message`. */
  readonly digest: (out: Uint8Array, message: Uint8Array) => void
}

export const keyLength = 32

/** Works in memory of its own, which all handshakes share and which is wiped after each call. */
export class Hkdf {
  private readonly primitives: NoisePrimitives["Service"]
  private readonly hash: Hash
  /** The memory of all fields below. */
  private readonly scratch: Uint8Array
  /** The key's inner block, then the message, which is at most as long as a hash and a byte. */
  private readonly inner: Uint8Array
  private readonly message: Uint8Array
  /** The key's outer block, then the hash of the inner one. */
  private readonly outer: Uint8Array
  private readonly innerHash: Uint8Array
  private readonly base: Uint8Array
  private readonly output: Uint8Array

  constructor(primitives: NoisePrimitives["Service"], hash: Hash) {
    const { blockLength, length } = hash
    let used = 0
    const scratch = new Uint8Array(2 * blockLength + 4 * length + 1)
    const cut = (bytes: number) => {
      used += bytes
      return scratch.subarray(used - bytes, used)
    }
    this.primitives = primitives
    this.hash = hash
    this.scratch = scratch
    this.inner = cut(blockLength + length + 1)
    this.message = this.inner.subarray(blockLength)
    this.outer = cut(blockLength + length)
    this.innerHash = this.outer.subarray(blockLength)
    this.base = cut(length)
    this.output = cut(length)
  }

  /**
   * Derives keys from `chaining`, which is as long as a hash, and `secret`, which is at most as long. The first output
   * replaces `chaining`. Each further output, cut to length, fills one of `keys`.
   */
  derive(chaining: Uint8Array, secret: Uint8Array, ...keys: ReadonlyArray<Uint8Array>): void {
    const { base, message, output } = this
    this.keyed(chaining)
    message.set(secret)
    this.hmac(base, secret.length)
    this.keyed(base)
    message[0] = 1
    this.hmac(chaining, 1)
    output.set(chaining)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i] as Uint8Array
      message.set(output)
      message[output.length] = i + 2
      this.hmac(output, output.length + 1)
      key.set(output.subarray(0, key.length))
    }
    this.primitives.wipe(this.scratch)
  }

  /** Sets the key of the next HMACs. It is never longer than a block, so it needs no hashing. */
  private keyed(key: Uint8Array): void {
    const { hash, inner, outer } = this
    inner.fill(0x36, 0, hash.blockLength)
    outer.fill(0x5c, 0, hash.blockLength)
    for (let i = 0; i < key.length; i++) {
      const byte = key[i] as number
      inner[i] = byte ^ 0x36
      outer[i] = byte ^ 0x5c
    }
  }

  /** The HMAC of the first `length` bytes of the message. */
  private hmac(out: Uint8Array, length: number): void {
    const { hash, inner, innerHash, outer } = this
    hash.digest(innerHash, inner.subarray(0, hash.blockLength + length))
    hash.digest(out, outer)
  }
}
