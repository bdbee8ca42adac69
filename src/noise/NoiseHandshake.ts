/**
 * The handshakes of the Noise protocol framework (revision 34), for 25519 and ChaChaPoly. Patterns are data, the hash
 * is a parameter. No I/O, no clock. Ephemeral key pairs come from a function, so that tests can check every byte.
 */
import * as Result from "effect/Result"
import type { KeyPairBytes, NoisePrimitives } from "../crypto/Primitives.ts"
import { concat, scratch } from "../crypto/scratch.ts"
import { type Hash, Hkdf, keyLength } from "./hkdf.ts"

export type { Hash } from "./hkdf.ts"

/**
 * A step of a message: send a key (`e`, `s`), mix in the secret that two keys share (the first letter is the
 * initiator's key), or mix in a pre-shared secret.
 */
export type Token = "e" | "s" | "ee" | "es" | "se" | "ss" | "psk"

export interface Pattern {
  readonly name: string
  /** The roles whose static key the other side knows beforehand. */
  readonly known: ReadonlyArray<Role>
  /** The messages in turn, the initiator's first. */
  readonly messages: ReadonlyArray<ReadonlyArray<Token>>
}

export type Role = "initiator" | "responder"

/** The initiator knows the responder's key beforehand, and sends its own encrypted. */
export const XK: Pattern = {
  name: "XK",
  known: ["responder"],
  messages: [
    ["e", "es"],
    ["e", "ee"],
    ["s", "se"]
  ]
}

/**
 * Adds pre-shared secrets to a pattern, as Noise's modifiers do: `psk0` mixes one in at the beginning of the first
 * message, `pskN` at the end of the Nth.
 */
export const withPsks = (pattern: Pattern, ...at: ReadonlyArray<number>): Pattern => {
  const psk = (position: number): ReadonlyArray<Token> => (at.includes(position) ? ["psk"] : [])
  return {
    ...pattern,
    name: `${pattern.name}${at.map((position) => `psk${position}`).join("+")}`,
    messages: pattern.messages.map((tokens, i) => [...(i === 0 ? psk(0) : []), ...tokens, ...psk(i + 1)])
  }
}

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
    const name = new TextEncoder().encode(`Noise_${pattern.name}_25519_ChaChaPoly_${hash.name}`)
    this.initial = new Uint8Array(hash.length)
    if (name.length > hash.length) hash.digest(this.initial, name)
    else this.initial.set(name)
  }
}

/** A key pair whose secret half stays with its owner. The handshake only asks for shared secrets. */
export interface Pair {
  readonly publicKey: Uint8Array
  /** The secret shared with `publicKey`; `undefined` when it would be all zero. */
  readonly agree: (publicKey: Uint8Array) => Uint8Array | undefined
}

export interface Options {
  readonly protocol: Protocol
  readonly role: Role
  readonly prologue: Uint8Array
  /** Makes a fresh X25519 pair. Called at this side's first message. The secret half is wiped with the handshake. */
  readonly ephemeral: () => KeyPairBytes
  /** Our own static pair, in patterns where this side has one. */
  readonly local: Pair | undefined
  /** The other side's static key, where it is known beforehand. */
  readonly remote: Uint8Array | undefined
  /** The pre-shared secrets, 32 bytes each, in the order in which the pattern mixes them. They are not wiped. */
  readonly psks: ReadonlyArray<Uint8Array>
}

/**
 * `forged`: a tag is wrong, or the message is too short. `degenerate`: there is no secret to mix in. It would be all
 * zero, because the peer's point has small order, or this side lacks a key or pre-shared secret that the pattern needs.
 */
export type Failure = "forged" | "degenerate"

/** The result for both sides: the keys of the two directions, and the hash of all that was exchanged. */
export interface Keys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
  readonly hash: Uint8Array
}

const tagLength = 16
const empty = new Uint8Array(0)

// -----------------------------------------------------------------------------
// symmetric state
// -----------------------------------------------------------------------------

/** Noise's SymmetricState with its CipherState: the hash of all messages and the keys from all secrets so far. */
class Symmetric {
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

// -----------------------------------------------------------------------------
// handshake
// -----------------------------------------------------------------------------

/** Noise's HandshakeState. Call `write` and `read` in the order of the pattern, and `split` after the last message. */
export class NoiseHandshake {
  private readonly options: Options
  private readonly symmetric: Symmetric
  private ephemeral: KeyPairBytes | undefined
  private remoteEphemeral: Uint8Array | undefined
  private remote: Uint8Array | undefined
  private turn = 0
  private psksMixed = 0

  constructor(options: Options) {
    const { local, prologue, protocol, remote, role } = options
    this.options = options
    this.remote = remote
    this.symmetric = new Symmetric(protocol)
    this.symmetric.mixHash(prologue)
    for (const known of protocol.pattern.known)
      this.symmetric.mixHash((known === role ? local?.publicKey : remote) ?? empty)
  }

  /** The other side's static key, once it is known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.remote
  }

  /** Makes the next message. */
  write(payload: Uint8Array): Result.Result<Uint8Array, Failure> {
    const parts: Array<Uint8Array> = []
    for (const token of this.tokens()) {
      if (token === "e") {
        this.ephemeral = this.options.ephemeral()
        this.mixEphemeral(this.ephemeral.publicKey)
        parts.push(this.ephemeral.publicKey)
      } else if (token === "s") {
        parts.push(this.symmetric.seal(this.options.local?.publicKey ?? empty))
      } else if (!this.mix(token)) {
        return this.fail("degenerate")
      }
    }
    return Result.succeed(concat(...parts, this.symmetric.seal(payload)))
  }

  /** Reads the next message and gives its payload. */
  read(message: Uint8Array): Result.Result<Uint8Array, Failure> {
    let at = 0
    for (const token of this.tokens()) {
      if (token === "e") {
        this.remoteEphemeral = message.slice(at, at + keyLength)
        at += keyLength
        if (message.length < at) return this.fail("forged")
        this.mixEphemeral(this.remoteEphemeral)
      } else if (token === "s") {
        const sealed = message.subarray(at, at + keyLength + this.symmetric.overhead)
        at += keyLength + this.symmetric.overhead
        this.remote = message.length < at ? undefined : this.symmetric.open(sealed)
        if (this.remote === undefined) return this.fail("forged")
      } else if (!this.mix(token)) {
        return this.fail("degenerate")
      }
    }
    const payload = this.symmetric.open(message.subarray(at))
    return payload === undefined ? this.fail("forged") : Result.succeed(payload)
  }

  /** The keys, after the last message. Every other secret is wiped. */
  split(): Keys {
    const [ofInitiator, ofResponder] = this.symmetric.split()
    const { hash } = this.symmetric
    this.wipe()
    return this.options.role === "initiator"
      ? { send: ofInitiator, receive: ofResponder, hash }
      : { send: ofResponder, receive: ofInitiator, hash }
  }

  wipe(): void {
    this.symmetric.wipe()
    if (this.ephemeral !== undefined) this.options.protocol.primitives.wipe(this.ephemeral.secretKey)
  }

  private fail(failure: Failure): Result.Result<never, Failure> {
    this.wipe()
    return Result.fail(failure)
  }

  private tokens(): ReadonlyArray<Token> {
    return this.options.protocol.pattern.messages[this.turn++] ?? []
  }

  private mixEphemeral(publicKey: Uint8Array): void {
    this.symmetric.mixHash(publicKey)
    if (this.options.protocol.preShared) this.symmetric.mixKey(publicKey)
  }

  /** Mixes in the secret of two keys, or the next pre-shared secret. Answers whether there was one. */
  private mix(token: Exclude<Token, "e" | "s">): boolean {
    if (token === "psk") {
      const psk = this.options.psks[this.psksMixed++]
      if (psk !== undefined) this.symmetric.mixKeyAndHash(psk)
      return psk !== undefined
    }
    const [ours, theirs] = this.options.role === "initiator" ? [token[0], token[1]] : [token[1], token[0]]
    const remote = theirs === "e" ? this.remoteEphemeral : this.remote
    const secret = remote === undefined ? undefined : this.agree(ours === "e", remote)
    if (secret === undefined) return false
    this.symmetric.mixKey(secret)
    this.options.protocol.primitives.wipe(secret)
    return true
  }

  private agree(withEphemeral: boolean, remote: Uint8Array): Uint8Array | undefined {
    const { local, protocol } = this.options
    if (!withEphemeral) return local?.agree(remote)
    return this.ephemeral === undefined ? undefined : protocol.primitives.x25519(this.ephemeral.secretKey, remote)
  }
}
