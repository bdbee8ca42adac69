/** Why a dial failed: one tagged error. Each reason says what failed, where, and what to do. */
import * as Schema from "effect/Schema"
import { HandshakeError } from "./HandshakeError.ts"
import { isOfTheMoment } from "./httpStatus.ts"
import { Other } from "./OtherReason.ts"
import { oneLine, printable } from "./printable.ts"
import { cause } from "./schema/cause.ts"

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
export class NotDialable extends Schema.TaggedError<NotDialable>()("NotDialable", { detail: Schema.String }) {
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
 * Nothing listens there.
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

/** An HTTP server's answer to a request for a WebSocket: its status, and where it redirects to, if it does. */
const HttpAnswer = Schema.Struct({ status: Schema.Int, location: Schema.optionalKey(Schema.String) })

/** What the user can do about such an answer. */
const advice = ({ location, status }: typeof HttpAnswer.Type): string => {
  if (status >= 300 && status < 400) {
    return location === undefined
      ? "it redirects, but does not say where to"
      : `it redirects to ${location}: dial that, if you trust it`
  }
  if (status === 401 || status === 407) return "it wants credentials: pass them as request headers"
  if (status === 403) return "it may want credentials, or another origin or host name"
  if (status === 404 || status === 410) return "there is no WebSocket at this path"
  return status < 300 || status === 426
    ? "there is a web server, and no WebSocket at this path"
    : "see what its operator says"
}

/**
 * There is no way to the peer. `code` is the system's error code, or for example `HTTP_404` from an HTTP server.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  code: Schema.String,
  /** The HTTP server's answer, if there was one. Its texts are made safe to print. */
  http: Schema.optionalKey(HttpAnswer),
  /** The system's error. */
  cause
}) {
  override get message(): string {
    // These codes of Node's HTTP parser mean that the answer is not HTTP.
    if (this.code.startsWith("HPE_")) return `what answers there does not speak HTTP (${this.code})`
    return this.http === undefined
      ? `unreachable (${this.code})`
      : `unreachable (${this.code}): an HTTP server answered ${this.http.status}; ${advice(this.http)}`
  }
  /** Not after an HTTP server's answer, unless that may differ the next time: 408, 425, 429 and 5xx. */
  get isRetryable(): boolean {
    return this.http === undefined || isOfTheMoment(this.http.status)
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
  millis: Schema.Number
}) {
  override get message(): string {
    return late[this.phase](`${this.millis} ms`)
  }
  get isRetryable(): boolean {
    return true
  }
}

/** The system's error codes for a connection that broke. They don't mean that the peer's TLS is at fault. */
const broken = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN)$/

/** OpenSSL's errors for bytes that are not TLS at all, such as a plain HTTP server's. */
const notTls = /wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|http[ _]request/i

/** Node may pass on OpenSSL's whole error line, with a thread and a source file. The reason is one field of it. */
const reasonOf = (detail: string): string => /:SSL routines:[^:]*:([^:]+):/.exec(detail)?.[1] ?? detail

/**
 * TLS could not be set up.
 *
 * @category errors
 * @since 0.1.0
 */
export class Tls extends Schema.TaggedError<Tls>()("Tls", {
  code: Schema.String,
  detail: Schema.String,
  /** The system's error. Errors that may quote a certificate are only in `detail`, where they are safe to print. */
  cause
}) {
  override get message(): string {
    const code = printable(this.code)
    if (notTls.test(`${this.code} ${this.detail}`)) return `TLS: what answers there does not speak TLS (${code})`
    return `TLS: ${printable(reasonOf(this.detail))} (${code})`
  }
  /** Only when the connection broke. A certificate that is not trusted now will not be trusted the next time. */
  get isRetryable(): boolean {
    return broken.test(this.code)
  }
}

const code = {
  place: "of the dialer",
  lookup: "of the resolver",
  connect: "of the transport"
}

/**
 * Code threw before the handshakes began. The dial dies with `cause`, and its `DialFailed` event has this reason.
 *
 * @category errors
 * @since 0.1.0
 */
export class DialDefect extends Schema.TaggedError<DialDefect>()("Defect", {
  /** What the dial was doing. */
  phase: Schema.Literals(["place", "lookup", "connect"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `a defect in the code ${code[this.phase]}: ${printable(String(this.cause))}`
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

const AttemptReason = Schema.Union([...TransportReason.members, Unsupported, Insecure, HandshakeError, DialDefect])
/**
 * Why one attempt failed.
 *
 * @category errors
 * @since 0.1.0
 */
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
