/** Why an open connection failed: one tagged error with a closed set of reasons. */
import * as Schema from "effect/Schema"
import { Other } from "./OtherReason.ts"
import { oneLine, printable, textOf } from "./printable.ts"
import { cause } from "./schema/cause.ts"

export { Other } from "./OtherReason.ts"

/**
 * The stream ended without a goodbye, so some of it may be missing.
 *
 * @category errors
 * @since 0.1.0
 */
export class Truncated extends Schema.TaggedError<Truncated>()("Truncated", {}) {
  override get message(): string {
    return "the stream ended without a goodbye: the peer vanished, or somebody cut it; some data may be missing"
  }
  get isRetryable(): boolean {
    return true
  }
}
/**
 * Bytes arrived that the peer can't have sealed.
 *
 * @category errors
 * @since 0.1.0
 */
export class Tampered extends Schema.TaggedError<Tampered>()("Tampered", {}) {
  override get message(): string {
    return "what arrived was not sealed by the peer: it was changed on the way"
  }
  get isRetryable(): boolean {
    return false
  }
}
/**
 * The connection broke. `code` is the system's error code, such as `ECONNRESET`, or for example `WS_1011` from a
 * WebSocket. `cause` is the system's error, if there is one.
 *
 * @category errors
 * @since 0.1.0
 */
export class Reset extends Schema.TaggedError<Reset>()("Reset", { code: Schema.String, cause }) {
  override get message(): string {
    return `the connection was broken off (${this.code})`
  }
  get isRetryable(): boolean {
    return true
  }
}
/**
 * The peer broke the protocol with bytes that are its own, or a key of the connection is used up.
 *
 * @category errors
 * @since 0.1.0
 */
export class ProtocolViolation extends Schema.TaggedError<ProtocolViolation>()("ProtocolViolation", {
  detail: Schema.String
}) {
  override get message(): string {
    return `the peer broke the protocol: ${printable(this.detail)}`
  }
  get isRetryable(): boolean {
    return false
  }
}
/**
 * Either more has arrived than this side keeps unread, and its transport can't make the peer wait, as a browser's
 * WebSocket can't. What had arrived can still be read. Or too much was sent since the peer was last heard, on a
 * platform that does not say what has left, as React Native does not.
 *
 * @category errors
 * @since 0.1.0
 */
export class Overflow extends Schema.TaggedError<Overflow>()("Overflow", {
  /** How many bytes are kept unread, or may be sent since the peer was last heard. */
  limit: Schema.Number,
  /** `sent`: too much was sent. Otherwise too much has arrived. */
  of: Schema.optionalKey(Schema.Literal("sent"))
}) {
  override get message(): string {
    const what =
      this.of === "sent"
        ? "were sent without an answer, and this platform does not say whether they have left: have the peer answer " +
          "in between, or raise maxUnheard"
        : "have arrived and were not read, and this platform can't make the peer wait: read sooner, or raise maxUnread"
    return `more than ${this.limit} bytes ${what}`
  }
  get isRetryable(): boolean {
    return false
  }
}
/**
 * This side has waited long enough.
 *
 * @category errors
 * @since 0.1.0
 */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", {
  /**
   * `silent`: the peer, or the network to it, has stopped answering. `idle`: for the `idle` time of `Limits`, no byte
   * was carried. `stopping`: the listener has stopped, and the peer did not take in time what was left to send.
   */
  why: Schema.Literals(["silent", "idle", "stopping"]),
  /** The system's error, if there is one. */
  cause
}) {
  override get message(): string {
    return timeouts[this.why]
  }
  get isRetryable(): boolean {
    return true
  }
}

const timeouts = {
  silent: "the peer stopped answering",
  idle: "nothing was carried in either direction for the idle time (Limits.idle)",
  stopping: "this side stops, and the peer did not take in time what was left to send"
}

/**
 * This side closed the connection.
 *
 * @category errors
 * @since 0.1.0
 */
export class LocallyClosed extends Schema.TaggedError<LocallyClosed>()("LocallyClosed", {
  /**
   * `closed`: its scope was closed. `draining`: its listener stops, so finish what you owe and return. `ended`: a write
   * after `end`. `consumed`: a transport was made of it. `interrupted`: a write was interrupted when part of it was
   * accepted.
   */
  why: Schema.Literals(["closed", "draining", "ended", "consumed", "interrupted"])
}) {
  override get message(): string {
    return `closed by this side (${this.why})`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The reason of every port that this side has closed. It is one value, because making an error costs more than closing.
 *
 * @category errors
 * @since 0.1.0
 */
export const locallyClosed = new LocallyClosed({ why: "closed" })

/**
 * Why `pull` fails when its listener stops.
 *
 * @category errors
 * @since 0.1.0
 */
export const draining = new LocallyClosed({ why: "draining" })

/**
 * Why an open connection failed.
 *
 * @category errors
 * @since 0.1.0
 */
export const ConnectionReason = Schema.Union([
  Truncated,
  Tampered,
  Reset,
  ProtocolViolation,
  Overflow,
  TimedOut,
  LocallyClosed,
  Other
])
export type ConnectionReason = typeof ConnectionReason.Type

/**
 * Code that the connection is made of threw: a codec, a port or effects. The network is not at fault, so this is not a
 * reason of a `ConnectionError`: reads and writes die with `cause`. Accounts and events have it as the failure.
 *
 * @category errors
 * @since 0.1.0
 */
export class Defect extends Schema.TaggedError<Defect>()("Defect", { cause: Schema.Defect() }) {
  override get message(): string {
    return `a defect in the code of a protocol or a transport: ${printable(textOf(this.cause))}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * Why a port failed.
 *
 * @category errors
 * @since 0.1.0
 */
export type PortFailure = ConnectionReason | Defect

/**
 * An open connection failed.
 *
 * @category errors
 * @since 0.1.0
 */
export class ConnectionError extends Schema.TaggedError<ConnectionError>("effect-multiserver/ConnectionError")(
  "ConnectionError",
  {
    /** The address of the other end, as text without a seed. */
    remote: Schema.String,
    reason: ConnectionReason
  }
) {
  override get message(): string {
    return `connection with ${this.remote}: ${oneLine(this.reason.message)}`
  }
  /** Whether dialing again can help. */
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}

/**
 * Whether a `pull` failed because its listener drains: finish what you owe, and return. Nothing is broken.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isDraining = (error: unknown): boolean =>
  error instanceof ConnectionError && error.reason._tag === "LocallyClosed" && error.reason.why === "draining"
