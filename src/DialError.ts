/** Why a dial failed: one tagged error, each reason saying what, where and what to do. */
import * as Schema from "effect/Schema"
import { HandshakeError } from "./HandshakeError.ts"
import { isOfTheMoment } from "./httpStatus.ts"
import { oneLine, printable } from "./printable.ts"
import { cause } from "./schema/cause.ts"

/** The address's stack isn't among those that this Multiserver speaks. */
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

/** The address is one to listen on, or lacks something that a dial needs. */
export class NotDialable extends Schema.TaggedError<NotDialable>()("NotDialable", { detail: Schema.String }) {
  override get message(): string {
    return `not an address to dial: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The stack would be open to others than the peer. */
export class Insecure extends Schema.TaggedError<Insecure>()("Insecure", { detail: Schema.String }) {
  override get message(): string {
    return this.detail
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The `Policy` of this process does not allow it. */
export class DeniedByPolicy extends Schema.TaggedError<DeniedByPolicy>()("DeniedByPolicy", { detail: Schema.String }) {
  override get message(): string {
    return `denied by policy: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** The resolver's words for not having been answered. */
const unanswered = /^(EAI_AGAIN|ETIMEOUT|ESERVFAIL|ECONNREFUSED|EREFUSED)$/

/** The host name has no address. */
export class NameNotFound extends Schema.TaggedError<NameNotFound>()("NameNotFound", {
  host: Schema.String,
  /**
   * `ENOTFOUND`: there is no such name. `ENODATA`: it has no IP. `EAI_AGAIN`, `ETIMEOUT`, `ESERVFAIL` and the like: the
   * resolver, or whom it asked, did not answer.
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

/** Nothing listens there. */
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

/** What an HTTP server answers to who asks it for a WebSocket: its status, and of a redirection where to. */
const HttpAnswer = Schema.Struct({ status: Schema.Int, location: Schema.optionalKey(Schema.String) })

/** What can be done about an answer. */
const advice = ({ location, status }: typeof HttpAnswer.Type): string => {
  if (status >= 300 && status < 400) {
    return location === undefined
      ? "it redirects, and says not where to"
      : `it redirects to ${location}: dial that, if you trust it`
  }
  if (status === 401 || status === 407) return "it wants credentials: they are given as request headers"
  if (status === 403) return "it may want credentials, or another origin or host name"
  if (status === 404 || status === 410) return "there is no WebSocket at this path"
  return status < 300 || status === 426
    ? "there is a web server, and no WebSocket at this path"
    : "see what its operator says"
}

/**
 * No way there. `code` is the system's word, or `HTTP_404` where an HTTP server answered, and no WebSocket.
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  code: Schema.String,
  /** What an HTTP server answered, whose texts are made safe to print. */
  http: Schema.optionalKey(HttpAnswer),
  /** The system's error. */
  cause
}) {
  override get message(): string {
    // Node's parser of HTTP has no other words for what is no HTTP.
    if (this.code.startsWith("HPE_")) return `what answers there does not speak HTTP (${this.code})`
    return this.http === undefined
      ? `unreachable (${this.code})`
      : `unreachable (${this.code}): an HTTP server answered ${this.http.status}; ${advice(this.http)}`
  }
  /** Of an HTTP server's answers, those that it may not give the next time: 408, 425, 429 and 5xx. */
  get isRetryable(): boolean {
    return this.http === undefined || isOfTheMoment(this.http.status)
  }
}

/** A proxy on the way is absent, refuses, or can't reach the host. */
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

/** The deadline of one phase passed. */
export class DialTimedOut extends Schema.TaggedError<DialTimedOut>()("TimedOut", {
  /**
   * `place`: it waited for other dials of this process. `lookup`: for the resolver. `connect`: for the transport.
   * `handshake`: for the peer. `dial`: all of that together, which only a caller bounds.
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

/** The system's words for a connection that broke: they say nothing against the peer's TLS. */
const broken = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN)$/

/** OpenSSL's words for bytes that are not TLS at all, such as a plain HTTP server's. */
const notTls = /wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|http[ _]request/i

/** Where Node passes on OpenSSL's line as it is, with a thread and a file of its source, its reason is one field. */
const reasonOf = (detail: string): string => /:SSL routines:[^:]*:([^:]+):/.exec(detail)?.[1] ?? detail

/** TLS could not be set up. */
export class Tls extends Schema.TaggedError<Tls>()("Tls", {
  code: Schema.String,
  detail: Schema.String,
  /** The system's error. What speaks of a certificate is in `detail` only, where it is made safe to print. */
  cause
}) {
  override get message(): string {
    const code = printable(this.code)
    if (notTls.test(`${this.code} ${this.detail}`)) return `TLS: what answers there does not speak TLS (${code})`
    return `TLS: ${printable(reasonOf(this.detail))} (${code})`
  }
  /** When the connection broke during the handshake. A certificate that is not trusted will not be next time. */
  get isRetryable(): boolean {
    return broken.test(this.code)
  }
}

const code = {
  place: "of the dialer",
  lookup: "of the resolver",
  connect: "of the transport",
  handshake: "of a protocol"
}

/** Code threw before the handshakes began. Who dials dies with `cause`; an event has it as its reason. */
export class DialDefect extends Schema.TaggedError<DialDefect>()("Defect", {
  /** What it was doing. */
  phase: Schema.Literals(["place", "lookup", "connect", "handshake"]),
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `a defect in the code ${code[this.phase]}: ${printable(String(this.cause))}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** What a transport's dial fails with. */
export const TransportReason = Schema.Union([
  NotDialable,
  DeniedByPolicy,
  NameNotFound,
  Refused,
  Unreachable,
  Proxy,
  DialTimedOut,
  Tls
])
export type TransportReason = typeof TransportReason.Type

const AttemptReason = Schema.Union([...TransportReason.members, Unsupported, Insecure, HandshakeError, DialDefect])
/** Why one attempt failed. */
export type AttemptReason = typeof AttemptReason.Type

/** One address of several, and why it failed. */
export const Attempt = Schema.Struct({
  /** The address as text, without its seed. */
  address: Schema.String,
  reason: AttemptReason
})
export type Attempt = typeof Attempt.Type

/** Each of several addresses failed. */
export class AllFailed extends Schema.TaggedError<AllFailed>()("AllFailed", { attempts: Schema.Array(Attempt) }) {
  override get message(): string {
    const each = this.attempts.map(({ address, reason }) => `${address}: ${oneLine(reason.message)}`)
    return `all ${each.length} addresses failed:\n  ${each.join("\n  ")}`
  }
  /** When one of them is. */
  get isRetryable(): boolean {
    return this.attempts.some(({ reason }) => reason.isRetryable)
  }
}

/** A dial failed. */
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
