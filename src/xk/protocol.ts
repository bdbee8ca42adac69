/** A Noise protocol: a pattern and a hash, for 25519 and ChaChaPoly. Patterns are data. */
import type { NoisePrimitives } from "../crypto/Primitives.ts"
import { type Hash, Hkdf } from "./hkdf.ts"

export type { Hash } from "./hkdf.ts"

/**
 * A step of a message: send a key (`e`, `s`), mix in the secret that two keys share (the first letter is the
 * initiator's key), or mix in a pre-shared secret. Of the draft `hfs`: send a KEM key (`e1`), or send a ciphertext for
 * the other side's and mix in its secret (`ekem1`).
 */
export type Token = "e" | "s" | "ee" | "es" | "se" | "ss" | "psk" | "e1" | "ekem1"

export interface Pattern {
  readonly name: string
  /** What follows `25519` in the protocol's name: a plus sign and a KEM, where the pattern has one. */
  readonly kem?: string
  /** The roles whose static key the other side knows beforehand. */
  readonly known: ReadonlyArray<Role>
  /** The messages in turn, the initiator's first. */
  readonly messages: ReadonlyArray<ReadonlyArray<Token>>
}

export type Role = "initiator" | "responder"

export const blake2b = (primitives: NoisePrimitives["Service"]): Hash => ({
  name: "BLAKE2b",
  length: 64,
  blockLength: 128,
  digest: primitives.blake2b
})

/** A pattern with a hash. All handshakes can share one. */
export class Protocol {
  readonly primitives: NoisePrimitives["Service"]
  readonly pattern: Pattern
  readonly hash: Hash
  readonly hkdf: Hkdf
  /**
   * Whether the pattern has pre-shared secrets. If so, the ephemeral public keys are mixed into the key too: they make
   * the keys of each handshake different.
   */
  readonly preShared: boolean
  /** Each handshake's first hash: that of the protocol's name, or the name itself where it is short enough. */
  readonly initial: Uint8Array

  constructor(primitives: NoisePrimitives["Service"], pattern: Pattern, hash: Hash) {
    this.primitives = primitives
    this.pattern = pattern
    this.hash = hash
    this.hkdf = new Hkdf(primitives, hash)
    this.preShared = pattern.messages.some((tokens) => tokens.includes("psk"))
    const name = new TextEncoder().encode(`Noise_${pattern.name}_25519${pattern.kem ?? ""}_ChaChaPoly_${hash.name}`)
    this.initial = new Uint8Array(hash.length)
    if (name.length > hash.length) hash.digest(this.initial, name)
    else this.initial.set(name)
  }
}
