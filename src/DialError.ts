/** Why a dial failed: one tagged error. Each reason says what failed, where, and what to do. */
import * as Schema from "effect/Schema"
import { Tls } from "./dialError/tls.ts"
import { Unreachable } from "./dialError/unreachable.ts"
import { HandshakeError } from "./HandshakeError.ts"
import { Other } from "./OtherReason.ts"
import { oneLine, printable, textOf } from "./printable.ts"
import { cause } from "./schema/cause.ts"

export { Tls } from "./dialError/tls.ts"
export { Unreachable } from "./dialError/unreachable.ts"
export { Other } from "./OtherReason.ts"

/**
 * This Multiserver does not speak the address's stack.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unsupported extends Schema.TaggedError<Unsupported>()("Unsupported", {
  stack: Schema.String,
  /** The stacks of the layer. */
  spoken: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `the stack ${this.stack} is not spoken here, only ${this.spoken.join(", ")}; add it to ` +
      "Multiserver.layer([...])"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The address is one to listen on, or lacks something that a dial needs.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotDialable extends Schema.TaggedError<NotDialable>()("NotDialable", {
  detail: Schema.String,
  /** What went wrong, if there is more to know. */
  cause
}) {
  override get message(): string {
    return `not an address to dial: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The stack would let others than the peer take part, such as `noauth` over a network.
 *
 * @category errors
 * @since 0.1.0
 */
export class Insecure extends Schema.TaggedError<Insecure>()("Insecure", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The `Policy` of this process does not allow the dial.
 *
 * @category errors
 * @since 0.1.0
 */
export class DeniedByPolicy extends Schema.TaggedError<DeniedByPolicy>()("DeniedByPolicy", { detail: Schema.String }) {
  override get message(): string {
    return `denied by policy: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The resolver's error codes for a question that got no answer. It may get one the next time. */
const unanswered = /^(EAI_AGAIN|ETIMEOUT|ESERVFAIL|ECONNREFUSED|EREFUSED)$/

/**
 * The host name could not be resolved to an IP.
 *
 * @category errors
 * @since 0.1.0
 */
export class NameNotFound extends Schema.TaggedError<NameNotFound>()("NameNotFound", {
  host: Schema.String,
  /**
   * `ENOTFOUND`: there is no such name. `ENODATA`: it has no IP. `EAI_AGAIN`, `ETIMEOUT`, `ESERVFAIL` and the like: the
   * resolver, or a server that it asked, did not answer.
   */
  code: Schema.String,
  /** The resolver's error. */
  cause
}) {
  override get message(): string {
    return `the name ${this.host} was not found (${this.code})`
  }
  get isRetryable(): boolean {
    return unanswered.test(this.code)
  }
}

/**
 * Nothing listens there, or what listens has no room.
 *
 * @category errors
 * @since 0.1.0
 */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  /** The system's error. */
  cause
}) {
  override get message(): string {
    return "connection refused: nothing listens there, or it is full"
  }
  get isRetryable(): boolean {
    return true
  }
}

/**
 * A proxy on the way is absent, refuses, or can't reach the host.
 *
 * @category errors
 * @since 0.1.0
 */
export class Proxy extends Schema.TaggedError<Proxy>()("Proxy", {
  detail: Schema.String,
  isRetryable: Schema.Boolean,
  /** The system's error, or why the proxy itself could not be reached. */
  cause
}) {
  override get message(): string {
    return `proxy: ${printable(this.detail)}`
  }
}

const late = {
  place: (time: string) =>
    `no place for this dial within ${time}: too many connect at once (Limits.dials), or file descriptors have run out`,
  lookup: (time: string) =>
    `the resolver did not answer within ${time}: dial an IP, or give the Multiserver another Resolver`,
  connect: (time: string) => `no connection within ${time}`,
  handshake: (time: string) => `no finished handshake within ${time}`,
  dial: (time: string) => `no finished dial within ${time}`
}

/**
 * The deadline of one phase passed.
 *
 * @category errors
 * @since 0.1.0
 */
export class DialTimedOut extends Schema.TaggedError<DialTimedOut>()("TimedOut", {
  /**
   * What the dial waited for. `place`: other dials of this process. `lookup`: the resolver. `connect`: the transport.
   * `handshake`: the peer. `dial`: all of these together, which has a deadline only if the caller sets one.
   */
  phase: Schema.Literals(["place", "lookup", "connect", "handshake", "dial"]),
  millis: Schema.Finite,
  /** Of the phase `dial`: the addresses that had failed by then, with the tags and messages of their reasons. */
  before: Schema.optionalKey(
    Schema.Array(Schema.Struct({ address: Schema.String, tag: Schema.String, message: Schema.String }))
  )
}) {
  override get message(): string {
    const before = (this.before ?? []).map(({ address, message }) => `; ${address}: ${message}`)
    return late[this.phase](`${this.millis} ms`) + before.join("")
  }
  get isRetryable(): boolean {
    return true
  }
}

const code = {
  plan: "that judges the address",
  place: "of the dialer",
  lookup: "of the resolver",
  connect: "of the transport"
}

/**
 * Code threw before the handshakes began. The dial dies with `cause`, and its `DialFailed` event has this reason. Code
 * that threw while the dial was planned (phase `plan`) only takes its address away: then this is a reason like others.
 *
 * @category errors
 * @since 0.1.0
 */
export class DialDefect extends Schema.TaggedError<DialDefect>()("Defect", {
  /** What the dial was doing. */
  phase: Schema.Literals(["plan", "place", "lookup", "connect"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `a defect in the code ${code[this.phase]}: ${printable(textOf(this.cause))}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The reasons with which a transport's dial fails.
 *
 * @category errors
 * @since 0.1.0
 */
export const TransportReason = Schema.Union([
  NotDialable,
  DeniedByPolicy,
  NameNotFound,
  Refused,
  Unreachable,
  Proxy,
  DialTimedOut,
  Tls,
  Other
])
export type TransportReason = typeof TransportReason.Type

/**
 * Why one attempt failed.
 *
 * @category errors
 * @since 0.1.0
 */
export const AttemptReason = Schema.Union([
  ...TransportReason.members,
  Unsupported,
  Insecure,
  HandshakeError,
  DialDefect
])
export type AttemptReason = typeof AttemptReason.Type

/**
 * One address of several, and why it failed.
 *
 * @category errors
 * @since 0.1.0
 */
export const Attempt = Schema.Struct({
  /** The address as text, without its seed. */
  address: Schema.String,
  reason: AttemptReason
})
export type Attempt = typeof Attempt.Type

/**
 * Each of several addresses failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class AllFailed extends Schema.TaggedError<AllFailed>()("AllFailed", { attempts: Schema.Array(Attempt) }) {
  override get message(): string {
    const each = this.attempts.map(({ address, reason }) => `${address}: ${oneLine(reason.message)}`)
    return `all ${each.length} addresses failed:\n  ${each.join("\n  ")}`
  }
  /** When at least one of the reasons is. */
  get isRetryable(): boolean {
    return this.attempts.some(({ reason }) => reason.isRetryable)
  }
}

/**
 * A dial failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class DialError extends Schema.TaggedError<DialError>("effect-multiserver/DialError")("DialError", {
  /** The address, or the addresses, as text without a seed. */
  address: Schema.String,
  reason: Schema.Union([...AttemptReason.members, AllFailed])
}) {
  override get message(): string {
    const { message } = this.reason
    return `dial ${this.address}: ${this.reason._tag === "AllFailed" ? message : oneLine(message)}`
  }
  /** Whether dialing again can help: `Effect.retry({ while: (error) => error.isRetryable })`. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
