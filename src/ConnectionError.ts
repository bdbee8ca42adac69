/** Why an open connection failed: one tagged error with a closed set of reasons. */
import * as Schema from "effect/Schema"
import { oneLine, printable } from "./printable.ts"
import { cause } from "./schema/cause.ts"

/** The stream ended without the goodbye that says that all was said. */
export class Truncated extends Schema.TaggedError<Truncated>()("Truncated", {}) {
  override get message(): string {
    return "the stream ended without a goodbye: the peer vanished, or somebody cut it; what came may not be all"
  }
  get isRetryable(): boolean {
    return true
  }
}
/** Bytes arrived that the peer can't have sealed. */
export class Tampered extends Schema.TaggedError<Tampered>()("Tampered", {}) {
  override get message(): string {
    return "what arrived was not sealed by the peer: it was changed on the way"
  }
  get isRetryable(): boolean {
    return false
  }
}
/** The operating system reports the connection broken; `code` is its word for it, and `cause` its error. */
export class Reset extends Schema.TaggedError<Reset>()("Reset", { code: Schema.String, cause }) {
  override get message(): string {
    return `the connection was broken off (${this.code})`
  }
  get isRetryable(): boolean {
    return true
  }
}
/** The peer is who it says, and breaks the protocol. */
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
/** The peer stopped answering, or did not take what was left to send in time. */
export class TimedOut extends Schema.TaggedError<TimedOut>()("TimedOut", { cause }) {
  override get message(): string {
    return "the peer stopped answering"
  }
  get isRetryable(): boolean {
    return true
  }
}
/** This side closed it. */
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

/** The reason of every port that was closed from here; one value, because making an error costs more than closing. */
export const locallyClosed = new LocallyClosed({ why: "closed" })

/** Why `pull` fails when its listener stops. */
export const draining = new LocallyClosed({ why: "draining" })

const ConnectionReason = Schema.Union([Truncated, Tampered, Reset, ProtocolViolation, TimedOut, LocallyClosed])
/** Why an open connection failed. */
export type ConnectionReason = typeof ConnectionReason.Type

/**
 * Code that somebody wrote for this connection threw: a codec, a port, effects that it is made of. It is no fault of
 * the network, so it is no reason of a `ConnectionError`: whoever reads or writes dies with `cause`. Accounts and
 * events have it as their tag.
 */
export class Defect extends Schema.TaggedError<Defect>()("Defect", { cause: Schema.Defect() }) {
  override get message(): string {
    return `a defect in the code of a protocol or a transport: ${printable(String(this.cause))}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/** Why a port failed. */
export type PortFailure = ConnectionReason | Defect

/** An open connection failed. */
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

/** Whether this is what draining made of a `pull`: a reason to finish, and not to break off. */
export const isDraining = (error: unknown): boolean =>
  error instanceof ConnectionError && error.reason._tag === "LocallyClosed" && error.reason.why === "draining"
