/** What both sides of a handshake have in common at each step, and how it changes. */
import { concat, empty, scratch } from "../crypto/scratch.ts"
import { keyLength } from "./hkdf.ts"
import type { Protocol } from "./protocol.ts"

const tagLength = 16

/** Noise's SymmetricState with its CipherState: the hash of all messages and the keys from all secrets so far. */
export class Symmetric {
  private readonly protocol: Protocol
  readonly hash: Uint8Array
  private readonly chaining: Uint8Array
  private readonly key = scratch(keyLength)
  private keyed = false
  /** 4 zero bytes, then a little-endian counter. A handshake needs only the counter's first byte. */
  private readonly nonce = scratch(12)

  constructor(protocol: Protocol) {
    this.protocol = protocol
    this.hash = concat(protocol.initial)
    this.chaining = concat(protocol.initial)
  }

  mixHash(data: Uint8Array): void {
    this.protocol.hash.digest(this.hash, concat(this.hash, data))
  }

  mixKey(input: Uint8Array): void {
    this.protocol.hkdf.derive(this.chaining, input, this.key)
    this.keyed = true
    this.nonce[4] = 0
  }

  mixKeyAndHash(input: Uint8Array): void {
    const { hash, hkdf, primitives } = this.protocol
    const mixed = scratch(hash.length)
    hkdf.derive(this.chaining, input, mixed, this.key)
    this.mixHash(mixed)
    primitives.wipe(mixed)
    this.keyed = true
    this.nonce[4] = 0
  }

  /** Mixes in a secret that two keys share, and wipes it. */
  mixSecret(secret: Uint8Array): void {
    this.mixKey(secret)
    this.protocol.primitives.wipe(secret)
  }

  get overhead(): number {
    return this.keyed ? tagLength : 0
  }

  seal(plain: Uint8Array): Uint8Array {
    const { hash, key, nonce, protocol } = this
    const sealed = scratch(plain.length + this.overhead)
    if (this.keyed) {
      protocol.primitives.aeadSeal(sealed, plain, hash, nonce, key)
      nonce[4] = (nonce[4] as number) + 1
    } else {
      sealed.set(plain)
    }
    this.mixHash(sealed)
    return sealed
  }

  open(sealed: Uint8Array): Uint8Array | undefined {
    const { hash, key, nonce, protocol } = this
    if (sealed.length < this.overhead) return undefined
    const plain = scratch(sealed.length - this.overhead)
    if (this.keyed) {
      if (!protocol.primitives.aeadOpen(plain, sealed, hash, nonce, key)) return undefined
      nonce[4] = (nonce[4] as number) + 1
    } else {
      plain.set(sealed)
    }
    this.mixHash(sealed)
    return plain
  }

  /** Opens what has this length without its tag, at the beginning of `rest`. */
  openPart(rest: Uint8Array, length: number): Uint8Array | undefined {
    const end = length + this.overhead
    return rest.length < end ? undefined : this.open(rest.subarray(0, end))
  }

  /** The keys after the handshake: the initiator's direction, then the responder's. */
  split(): readonly [Uint8Array, Uint8Array] {
    const second = scratch(keyLength)
    this.protocol.hkdf.derive(this.chaining, empty, second)
    return [concat(this.chaining.subarray(0, keyLength)), second]
  }

  wipe(): void {
    this.protocol.primitives.wipe(this.chaining)
    this.protocol.primitives.wipe(this.key)
  }
}
