/**
 * The X25519 forms of peers' Ed25519 keys. A conversion checks that the key is a point of the main subgroup, so it
 * costs more than a shared secret. The results are remembered, because many processes meet the same peers again.
 *
 * Only keys that their owner has proved are remembered, and a bounded number of them: keys that strangers send take no
 * room.
 */

import type { Primitives } from "../crypto/Primitives.ts"
import { concat } from "../crypto/scratch.ts"

/** 1,024 peers are about 200 KiB. */
const maxRemembered = 1024

/** The first 6 bytes of a key as a number. Several keys may share it, so whole keys are compared too. */
const hashOf = (key: Uint8Array): number => {
  let hash = 0
  for (let i = 0; i < 6; i++) hash = hash * 256 + (key[i] as number)
  return hash
}

/** Not in constant time: the keys are public, so the time tells nothing. */
const same = (a: Uint8Array, b: Uint8Array): boolean => a.every((byte, i) => byte === b[i])

interface Converted {
  readonly publicKey: Uint8Array
  readonly x25519: Uint8Array
}

export class ConvertedKeys {
  private readonly primitives: Primitives["Service"]
  /** In the order of their last use. */
  private readonly remembered = new Map<number, Converted>()

  constructor(primitives: Primitives["Service"]) {
    this.primitives = primitives
  }

  private find(publicKey: Uint8Array): Converted | undefined {
    const found = this.remembered.get(hashOf(publicKey))
    return found !== undefined && same(found.publicKey, publicKey) ? found : undefined
  }

  /**
   * The X25519 form: 32 bytes that must not be changed. `undefined` when nobody can hold a secret key for `publicKey`.
   * Libsodium gets a copy of the key: V8 keeps a small array on its heap until a native call sees it, and then gives it
   * a buffer.
   */
  convert(publicKey: Uint8Array): Uint8Array | undefined {
    return this.find(publicKey)?.x25519 ?? this.primitives.x25519FromPublicKey(concat(publicKey))
  }

  /** Remembers a key that its owner has proved, with its X25519 form. */
  proved(publicKey: Uint8Array, x25519: Uint8Array): void {
    const { remembered } = this
    const hash = hashOf(publicKey)
    const converted = this.find(publicKey) ?? { publicKey: new Uint8Array(publicKey), x25519: new Uint8Array(x25519) }
    remembered.delete(hash)
    remembered.set(hash, converted)
    if (remembered.size > maxRemembered) remembered.delete(remembered.keys().next().value as number)
  }
}
