/**
 * The handshakes of the Noise protocol framework (revision 34), for 25519 and ChaChaPoly. Patterns are data, the hash
 * is a parameter, and a subclass can add tokens. No I/O, no clock. Ephemeral key pairs come from a function, so that
 * tests can check every byte.
 */
import * as Result from "effect/Result"
import type { KeyPairBytes } from "../crypto/Primitives.ts"
import { concat, empty } from "../crypto/scratch.ts"
import { keyLength } from "./hkdf.ts"
import type { Protocol, Role, Token } from "./protocol.ts"
import { Symmetric } from "./symmetric.ts"

export * from "./protocol.ts"

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
 * `forged`: a tag is wrong, or the message is too short. Otherwise there is no secret to mix in, and the text says what
 * is wrong with the peer's key: a point of small order leads to a secret of zeros. (The same is said when this side
 * lacks a key or pre-shared secret that the pattern needs.)
 */
export type Failure = "forged" | `its ${string}`

/** The result for both sides: the keys of the two directions, and the hash of all that was exchanged. */
export interface Keys {
  readonly send: Uint8Array
  readonly receive: Uint8Array
  readonly hash: Uint8Array
}

const noSecret = "its key is a point of small order"

/** Noise's HandshakeState. Call `write` and `read` in the order of the pattern, and `split` after the last message. */
export class NoiseHandshake {
  private readonly options: Options
  protected readonly symmetric: Symmetric
  private ephemeral: KeyPairBytes | undefined
  private remoteEphemeral: Uint8Array | undefined
  /** The other side's static key, once it is known. */
  remoteStatic: Uint8Array | undefined
  private turn = 0
  private psksMixed = 0

  constructor(options: Options) {
    const { local, prologue, protocol, remote, role } = options
    this.options = options
    this.remoteStatic = remote
    this.symmetric = new Symmetric(protocol)
    this.symmetric.mixHash(prologue)
    for (const known of protocol.pattern.known)
      this.symmetric.mixHash((known === role ? local?.publicKey : remote) ?? empty)
  }

  /** Makes the next message. */
  write(payload: Uint8Array): Result.Result<Uint8Array, Failure> {
    const parts: Array<Uint8Array> = []
    for (const token of this.tokens()) {
      const part = this.put(token)
      if (typeof part === "string") return this.fail(part)
      parts.push(part)
    }
    return Result.succeed(concat(...parts, this.symmetric.seal(payload)))
  }

  /** Reads the next message and gives its payload. */
  read(message: Uint8Array): Result.Result<Uint8Array, Failure> {
    let at = 0
    for (const token of this.tokens()) {
      const length = this.take(token, message.subarray(at))
      if (typeof length === "string") return this.fail(length)
      at += length
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

  /** Does what a token says when this side writes it. Gives its part of the message. */
  protected put(token: Token): Uint8Array | Failure {
    if (token === "s") return this.symmetric.seal(this.options.local?.publicKey ?? empty)
    if (token !== "e") return this.mix(token) ? empty : noSecret
    this.ephemeral = this.options.ephemeral()
    this.mixEphemeral(this.ephemeral.publicKey)
    return this.ephemeral.publicKey
  }

  /** Does what a token says when this side reads it, at the beginning of `rest`. Gives the length of its part. */
  protected take(token: Token, rest: Uint8Array): number | Failure {
    if (token === "s") {
      this.remoteStatic = this.symmetric.openPart(rest, keyLength)
      return this.remoteStatic === undefined ? "forged" : keyLength + this.symmetric.overhead
    }
    if (token !== "e") return this.mix(token) ? 0 : noSecret
    if (rest.length < keyLength) return "forged"
    this.remoteEphemeral = rest.slice(0, keyLength)
    this.mixEphemeral(this.remoteEphemeral)
    return keyLength
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
    const remote = theirs === "e" ? this.remoteEphemeral : this.remoteStatic
    const secret = remote === undefined ? undefined : this.agree(ours === "e", remote)
    if (secret === undefined) return false
    this.symmetric.mixSecret(secret)
    return true
  }

  private agree(withEphemeral: boolean, remote: Uint8Array): Uint8Array | undefined {
    const { local, protocol } = this.options
    if (!withEphemeral) return local?.agree(remote)
    return this.ephemeral === undefined ? undefined : protocol.primitives.x25519(this.ephemeral.secretKey, remote)
  }
}
