/** Why a handshake failed: which protocol, in which phase, and who is to blame. */
import * as Schema from "effect/Schema"
import { Other } from "./OtherReason.ts"
import { oneLine, printable, textOf } from "./printable.ts"
import { cause } from "./schema/cause.ts"

export { Other } from "./OtherReason.ts"

/**
 * The peer sent what no honest peer of this network sends.
 *
 * @category errors
 * @since 0.1.0
 */
export class PeerMisbehaved extends Schema.TaggedError<PeerMisbehaved>()("PeerMisbehaved", { detail: Schema.String }) {
  override get message(): string {
    return `the peer misbehaved: ${printable(this.detail)}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The peer uses another app key, or doesn't speak this protocol.
 *
 * @category errors
 * @since 0.1.0
 */
export class WrongNetwork extends Schema.TaggedError<WrongNetwork>()("WrongNetwork", {}) {
  override get message(): string {
    return (
      "the peer is of another network (its app key is not ours), dialed another key or stack, or speaks " +
      "another protocol"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The peer proved another key than the address names. For protocols in which the side that answers shows its key.
 *
 * @category errors
 * @since 0.1.0
 */
export class WrongPeer extends Schema.TaggedError<WrongPeer>()("WrongPeer", {}) {
  override get message(): string {
    return "the peer does not hold the key that the address names"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * This side's `authorize` denied the peer, or failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotAuthorized extends Schema.TaggedError<NotAuthorized>()("NotAuthorized", {
  /** The peer's public key, base64. */
  publicKey: Schema.String,
  /** Whether `authorize` failed or died instead of answering. */
  failed: Schema.Boolean,
  /** What it failed with or died of. */
  cause
}) {
  override get message(): string {
    if (!this.failed) return `the key ${this.publicKey} is not allowed`
    const why = this.cause === undefined ? "" : `: ${printable(textOf(this.cause))}`
    return `authorize failed for ${this.publicKey}${why}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The peer hung up instead of answering.
 *
 * @category errors
 * @since 0.1.0
 */
export class Rejected extends Schema.TaggedError<Rejected>()("Rejected", {
  /** The last message that this side had sent; `connect` if it had sent none. */
  after: Schema.Literals(["connect", "hello", "auth"]),
  /**
   * Whether only a peer that holds the key of the address can read this side's hello, as in noise. If so, a peer that
   * hangs up after the hello may hold another key, and a peer that hangs up later does hold this one.
   */
  helloIsSealed: Schema.optionalKey(Schema.Boolean),
  /** The `ConnectionReason` for which nothing more came. */
  cause
}) {
  override get message(): string {
    return `the peer hung up ${(this.helloIsSealed === true ? sealedRejections : rejections)[this.after]}`
  }
  /** `false` if `after` is `auth`: the peer has seen our key, and would answer it in the same way. */
  get isRetryable(): boolean {
    return this.after !== "auth"
  }
}

const rejections = {
  connect: "before it said anything",
  hello: "after our hello: it is of another network, busy, or speaks another protocol",
  auth: "after we authenticated: it refuses our key, or does not hold the key of the address"
}

const sealedRejections = {
  ...rejections,
  hello:
    "after our hello: it does not hold the key of the address, is of another network, serves another stack, is busy, " +
    "or speaks another protocol",
  auth: "after we authenticated: it refuses our key"
}

/**
 * The deadline for all handshakes of the connection passed.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandshakeTimedOut extends Schema.TaggedError<HandshakeTimedOut>()("TimedOut", {
  millis: Schema.Finite
}) {
  override get message(): string {
    return `not finished within ${this.millis} ms`
  }
  get isRetryable(): boolean {
    return true
  }
}

/**
 * There were too many connections, in all or from its source, so this side ended this one to make room for another.
 *
 * @category errors
 * @since 0.1.0
 */
export class Displaced extends Schema.TaggedError<Displaced>()("Displaced", {}) {
  override get message(): string {
    return "ended by this side to make room: it has too many connections, in all or of this source"
  }
  get isRetryable(): boolean {
    return true
  }
}

/**
 * This side's listener stops.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandshakeDraining extends Schema.TaggedError<HandshakeDraining>()("Draining", {}) {
  override get message(): string {
    return "ended by this side: its listener stops"
  }
  get isRetryable(): boolean {
    return true
  }
}

/**
 * The protocol's own code threw, so the peer is not at fault. A dial dies with `cause`. The event of the dial or the
 * listener has this reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandshakeDefect extends Schema.TaggedError<HandshakeDefect>()("Defect", { cause: Schema.Defect() }) {
  override get message(): string {
    return `a defect in the protocol's code: ${printable(textOf(this.cause))}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * Why a handshake failed.
 *
 * @category errors
 * @since 0.1.0
 */
export const HandshakeReason = Schema.Union([
  PeerMisbehaved,
  WrongNetwork,
  WrongPeer,
  NotAuthorized,
  Rejected,
  HandshakeTimedOut,
  Displaced,
  HandshakeDraining,
  HandshakeDefect,
  Other
])
export type HandshakeReason = typeof HandshakeReason.Type

/**
 * A transform's handshake failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class HandshakeError extends Schema.TaggedError<HandshakeError>("effect-multiserver/HandshakeError")(
  "HandshakeError",
  {
    /** The transform's name: `shs`. */
    protocol: Schema.String,
    /** The message that was waited for or examined, by the protocol's own name for it. */
    phase: Schema.String,
    reason: HandshakeReason
  }
) {
  override get message(): string {
    return `${this.protocol} handshake, at ${this.phase}: ${oneLine(this.reason.message)}`
  }
  /** Whether dialing again can help. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
