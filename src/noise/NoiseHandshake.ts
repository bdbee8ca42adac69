/**
 * The handshakes of the Noise protocol framework (revision 34), for 25519 and ChaChaPoly. Patterns are data, the hash is a
 * parameter. No I/O, no clock; randomness comes in as the ephemeral pair, so that every byte can be tested.
 */
import * as Result from "effect/Result"
import { brief, concat } from "../crypto/brief.ts"
import type { KeyPairBytes, Primitives } from "../crypto/Primitives.ts"

/** What a message does: send a key, or mix the secret that two keys share. The first letter is the initiator's key. */
export type Token = "e" | "s" | "ee" | "es" | "se" | "ss"

export interface Pattern {
  readonly name: string
  /** Whose static key the other side knows beforehand. */
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

export interface Hash {
  readonly name: string
  /** HASHLEN and BLOCKLEN. */
  readonly length: number
  readonly blockLength: number
  readonly digest: (message: Uint8Array) => Uint8Array
}

export const blake2b = (primitives: Primitives["Service"]): Hash => ({
  name: "BLAKE2b",
  length: 64,
  blockLength: 128,
  digest: primitives.blake2b
})

/** A key pair as the handshake sees it. Where its secret half is kept is its owner's business. */
export interface Pair {
  readonly publicKey: Uint8Array
  /** The secret shared with this key; `undefined` when it would be all zero. */
  readonly agree: (publicKey: Uint8Array) => Uint8Array | undefined
}

export interface Options {
  readonly primitives: Primitives["Service"]
  readonly pattern: Pattern
  readonly hash: Hash
  readonly role: Role
  readonly prologue: Uint8Array
  /** Makes a fresh X25519 pair, at this side's first message. Its secret half is wiped with the handshake. */
  readonly ephemeral: () => KeyPairBytes
  /** Our own static pair, in patterns where this side has one. */
  readonly local: Pair | undefined
  /** The other side's static key, where it is known beforehand. */
  readonly remote: Uint8Array | undefined
}

/** `forged`: a tag is wrong, or the message too short. `degenerate`: a secret would be all zero: the point has small order. */
export type Failure = "forged" | "degenerate"

/** What both sides come to: the keys of the two directions, and the hash of all that was said. */
export interface Keys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
  readonly hash: Uint8Array
}

const keyLength = 32
const tagLength = 16
const empty = new Uint8Array(0)

// -----------------------------------------------------------------------------
// symmetric state
// -----------------------------------------------------------------------------

/** Noise's SymmetricState with its CipherState: a hash of all that passed, and keys from all secrets so far. */
class Symmetric {
  private readonly primitives: Primitives["Service"]
  private readonly hashing: Hash
  private chaining: Uint8Array
  hash: Uint8Array
  private key: Uint8Array | undefined
  /** 4 zero bytes and a little-endian count, of which a handshake uses the first byte. */
  private readonly nonce = brief(12)

  constructor(primitives: Primitives["Service"], hashing: Hash, protocol: string) {
    this.primitives = primitives
    this.hashing = hashing
    const name = new TextEncoder().encode(protocol)
    this.hash =
      name.length > hashing.length ? hashing.digest(name) : concat(name, new Uint8Array(hashing.length - name.length))
    this.chaining = concat(this.hash)
  }

  mixHash(data: Uint8Array): void {
    this.hash = this.hashing.digest(concat(this.hash, data))
  }

  /** Mixes a shared secret, which is wiped. */
  mixKey(secret: Uint8Array): void {
    const [chaining, key] = this.derive(secret)
    this.wipe()
    this.primitives.wipe(secret)
    this.chaining = chaining
    this.key = key
    this.nonce[4] = 0
  }

  get overhead(): number {
    return this.key === undefined ? 0 : tagLength
  }

  seal(plain: Uint8Array): Uint8Array {
    const { key, nonce } = this
    const sealed = brief(plain.length + this.overhead)
    if (key === undefined) {
      sealed.set(plain)
    } else {
      this.primitives.aeadSeal(sealed, plain, this.hash, nonce, key)
      nonce[4] = (nonce[4] as number) + 1
    }
    this.mixHash(sealed)
    return sealed
  }

  open(sealed: Uint8Array): Uint8Array | undefined {
    const { key, nonce } = this
    if (sealed.length < this.overhead) return undefined
    const plain = brief(sealed.length - this.overhead)
    if (key === undefined) {
      plain.set(sealed)
    } else {
      if (!this.primitives.aeadOpen(plain, sealed, this.hash, nonce, key)) return undefined
      nonce[4] = (nonce[4] as number) + 1
    }
    this.mixHash(sealed)
    return plain
  }

  /** The keys after the handshake: the initiator's direction, then the responder's. */
  split(): readonly [Uint8Array, Uint8Array] {
    const [first, second] = this.derive(empty)
    const key = first.slice(0, keyLength)
    this.primitives.wipe(first)
    return [key, second]
  }

  wipe(): void {
    this.primitives.wipe(this.chaining)
    if (this.key !== undefined) this.primitives.wipe(this.key)
  }

  /** Noise's HKDF for two outputs: one of the hash's length, and a key. */
  private derive(secret: Uint8Array): readonly [Uint8Array, Uint8Array] {
    const base = this.hmac(this.chaining, secret)
    const first = this.hmac(base, Uint8Array.of(1))
    const second = this.hmac(base, concat(first, Uint8Array.of(2)))
    const key = second.slice(0, keyLength)
    this.primitives.wipe(base)
    this.primitives.wipe(second)
    return [first, key]
  }

  /** HMAC (RFC 2104) with a key no longer than a block, which here is always so. */
  private hmac(key: Uint8Array, message: Uint8Array): Uint8Array {
    const { blockLength, digest } = this.hashing
    const pad = (byte: number, data: Uint8Array) => {
      const block = brief(blockLength + data.length).fill(byte, 0, blockLength)
      for (let i = 0; i < key.length; i++) block[i] = (key[i] as number) ^ byte
      block.set(data, blockLength)
      const out = digest(block)
      this.primitives.wipe(block)
      return out
    }
    return pad(0x5c, pad(0x36, message))
  }
}

// -----------------------------------------------------------------------------
// handshake
// -----------------------------------------------------------------------------

/** Noise's HandshakeState: two verbs, to be called in the pattern's turn, and `split` after the last message. */
export class NoiseHandshake {
  private readonly options: Options
  private readonly symmetric: Symmetric
  private ephemeral: KeyPairBytes | undefined
  private remoteEphemeral: Uint8Array | undefined
  private remote: Uint8Array | undefined
  private turn = 0

  constructor(options: Options) {
    const { hash, local, pattern, primitives, prologue, remote, role } = options
    this.options = options
    this.remote = remote
    this.symmetric = new Symmetric(primitives, hash, `Noise_${pattern.name}_25519_ChaChaPoly_${hash.name}`)
    this.symmetric.mixHash(prologue)
    for (const known of pattern.known) this.symmetric.mixHash((known === role ? local?.publicKey : remote) ?? empty)
  }

  /** The other side's static key, once it is known. */
  get remoteStatic(): Uint8Array | undefined {
    return this.remote
  }

  /** The next message. */
  write(payload: Uint8Array): Result.Result<Uint8Array, Failure> {
    const parts: Array<Uint8Array> = []
    for (const token of this.tokens()) {
      if (token === "e") {
        this.ephemeral = this.options.ephemeral()
        this.symmetric.mixHash(this.ephemeral.publicKey)
        parts.push(this.ephemeral.publicKey)
      } else if (token === "s") {
        parts.push(this.symmetric.seal(this.options.local?.publicKey ?? empty))
      } else if (!this.mix(token)) {
        return this.fail("degenerate")
      }
    }
    return Result.succeed(concat(...parts, this.symmetric.seal(payload)))
  }

  /** The payload of the next message. */
  read(message: Uint8Array): Result.Result<Uint8Array, Failure> {
    let at = 0
    for (const token of this.tokens()) {
      if (token === "e") {
        this.remoteEphemeral = message.slice(at, at + keyLength)
        at += keyLength
        if (message.length < at) return this.fail("forged")
        this.symmetric.mixHash(this.remoteEphemeral)
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
    if (this.ephemeral !== undefined) this.options.primitives.wipe(this.ephemeral.secretKey)
  }

  private fail(failure: Failure): Result.Result<never, Failure> {
    this.wipe()
    return Result.fail(failure)
  }

  private tokens(): ReadonlyArray<Token> {
    return this.options.pattern.messages[this.turn++] ?? []
  }

  /** Mixes the secret of two keys. A key that this side does not have agrees on none. */
  private mix(token: Exclude<Token, "e" | "s">): boolean {
    const [ours, theirs] = this.options.role === "initiator" ? [token[0], token[1]] : [token[1], token[0]]
    const remote = theirs === "e" ? this.remoteEphemeral : this.remote
    const secret = remote === undefined ? undefined : this.agree(ours === "e", remote)
    if (secret !== undefined) this.symmetric.mixKey(secret)
    return secret !== undefined
  }

  private agree(withEphemeral: boolean, remote: Uint8Array): Uint8Array | undefined {
    const { local, primitives } = this.options
    if (!withEphemeral) return local?.agree(remote)
    return this.ephemeral === undefined ? undefined : primitives.x25519(this.ephemeral.secretKey, remote)
  }
}
