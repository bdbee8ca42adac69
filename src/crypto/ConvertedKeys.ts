/**
 * The X25519 forms of peers' Ed25519 keys. A conversion checks that the key is a point of the main subgroup, and with that
 * costs more than a shared secret: who dials often, or is dialed often by the same peers, does it once.
 *
 * Only keys that their owner has proved are remembered, and a bounded number of them: what strangers send takes no room.
 */
import type { Primitives } from "./Primitives.ts"

/** 1,024 peers are about 200 KiB. */
const maxRemembered = 1024

export class ConvertedKeys {
  private readonly primitives: Primitives["Service"]
  /** In the order of their last use. */
  private readonly remembered = new Map<string, Uint8Array>()

  constructor(primitives: Primitives["Service"]) {
    this.primitives = primitives
  }

  /** The X25519 form, 32 bytes that are not to be changed; `undefined` when the key is no point that anybody can hold. */
  convert(publicKey: Uint8Array): Uint8Array | undefined {
    return this.remembered.get(String.fromCharCode(...publicKey)) ?? this.primitives.x25519FromPublicKey(publicKey)
  }

  /** The owner of `publicKey`, whose form is `x25519`, has proved that it is. */
  proved(publicKey: Uint8Array, x25519: Uint8Array): void {
    const { remembered } = this
    const key = String.fromCharCode(...publicKey)
    remembered.delete(key)
    remembered.set(key, x25519)
    if (remembered.size > maxRemembered) remembered.delete(remembered.keys().next().value as string)
  }
}
