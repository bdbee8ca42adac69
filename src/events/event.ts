/** The events as schemas: a record of each thing that happens to a connection. */
import * as Schema from "effect/Schema"
import { ConnectionReason, Defect } from "../ConnectionError.ts"
import { Attempt, DialError } from "../DialError.ts"
import { HandshakeError } from "../HandshakeError.ts"
import { GossipDropped, RecordConflict, RecordRefused, SourceFailed } from "./lookup.ts"
import { WorkerExited, WorkerStarted } from "./worker.ts"

export * from "./lookup.ts"
export * from "./worker.ts"

const maybeText = Schema.optional(Schema.String)

const common = {
  /** Whether this side dialed or listened. */
  role: Schema.Literals(["dial", "listen"]),
  /** The address of the other end, as text without a seed. */
  remote: Schema.String,
  /** The names of the protocols: `net~shs`. */
  stack: Schema.String,
  /**
   * Where an accepted connection came from: an IP, or what else its transport names sources by. Behind a trusted proxy
   * it is what the proxy says. `undefined` where nothing is known, and for a dial.
   */
  source: maybeText,
  /** Milliseconds since the connection was accepted or its dial began. */
  millis: Schema.Int,
  /** Of several worker processes, the one that has the connection; from 1. */
  worker: Schema.optional(Schema.Int)
}

/** The `id` of the connection: `Connected` and `Closed` of one connection have the same. */
const id = Schema.Number

/** Of an open connection, its plaintext. Of a handshake, the bytes of its messages. */
const bytes = { bytesRead: Schema.Int, bytesWritten: Schema.Int }

/**
 * An address of a dial that failed, and why.
 *
 * @category models
 * @since 0.1.0
 */
export const Tried = Schema.Struct({
  ...Attempt.fields,
  /** The stack, and how long the attempt took. Not there where nothing was tried, as for a stack that isn't spoken. */
  stack: maybeText,
  millis: Schema.optional(Schema.Int),
  /** How many of its `millis` its transport took to connect, if it did. */
  connectMillis: Schema.optional(Schema.Int)
})
export interface Tried extends Schema.Schema.Type<typeof Tried> {}

/**
 * All handshakes are done.
 *
 * @category events
 * @since 0.1.0
 */
export const Connected = Schema.TaggedStruct("Connected", {
  ...common,
  id,
  /** The peer's public key, base64, when it was proved. */
  peer: maybeText,
  /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
  connectMillis: Schema.optional(Schema.Int),
  /** Of a WebSocket that a web page opened: the page's origin, as its browser says. */
  origin: maybeText,
  /** Of a dial: the addresses that had failed before this one won, and why. */
  failed: Schema.Array(Tried)
})
export interface Connected extends Schema.Schema.Type<typeof Connected> {}

/**
 * The connection's scope is closed.
 *
 * @category events
 * @since 0.1.0
 */
export const Closed = Schema.TaggedStruct("Closed", {
  ...common,
  ...bytes,
  id,
  phase: Schema.Literal("open"),
  peer: maybeText,
  /**
   * `end`: both sides said goodbye. `closed`: this side did, and the peer did not. `LocallyClosed`: this side broke it
   * off without a goodbye. `Defect`: code threw. Otherwise the tag of its failure.
   */
  tag: Schema.Literals([
    "end",
    "closed",
    "Truncated",
    "Tampered",
    "Reset",
    "ProtocolViolation",
    "Overflow",
    "TimedOut",
    "LocallyClosed",
    "Other",
    "Defect"
  ]),
  /** Why it failed, where it did. */
  failure: Schema.optionalKey(Schema.Union([...ConnectionReason.members, Defect]))
})
export interface Closed extends Schema.Schema.Type<typeof Closed> {}

/**
 * An accepted connection did not get through its handshakes.
 *
 * @category events
 * @since 0.1.0
 */
export const HandshakeFailed = Schema.TaggedStruct("HandshakeFailed", {
  ...common,
  ...bytes,
  /** The protocol whose handshake it was, and the message that was waited for or examined. */
  protocol: Schema.String,
  phase: Schema.String,
  tag: Schema.Literals([
    "PeerMisbehaved",
    "WrongNetwork",
    "WrongPeer",
    "NotAuthorized",
    "Rejected",
    "TimedOut",
    "Displaced",
    "Draining",
    "Other",
    "Defect"
  ]),
  error: HandshakeError
})
export interface HandshakeFailed extends Schema.Schema.Type<typeof HandshakeFailed> {}

/**
 * A newcomer was turned away before its handshakes: before its first byte was read, or because of its HTTP request.
 *
 * @category events
 * @since 0.1.0
 */
export const Refused = Schema.TaggedStruct("Refused", {
  stack: Schema.String,
  /** Where it came from, as in the other events. */
  source: maybeText,
  /**
   * `TooManyConnections`, `TooManyFromSource`, `TooFast` (of one source): see `Limits`. `Origin`, `Host`,
   * `ProxyHeader`, `PlainHttp`, `UnknownPath`, `BadRequest`: see `Transport.TurnedAway`.
   */
  tag: Schema.Literals([
    "TooManyConnections",
    "TooManyFromSource",
    "TooFast",
    "DeniedByPolicy",
    "Draining",
    "Origin",
    "Host",
    "ProxyHeader",
    "PlainHttp",
    "UnknownPath",
    "BadRequest"
  ]),
  /** The `Origin` header of its request, if it has one: the web page that sends it. */
  origin: maybeText,
  /**
   * How many refusals this event stands for. It is more than 1 when they come faster than the sink takes events.
   * The others may be of other sources.
   */
  count: Schema.Int,
  worker: Schema.optional(Schema.Int)
})
export interface Refused extends Schema.Schema.Type<typeof Refused> {}

/**
 * A dial failed, with the reasons of each address that was tried.
 *
 * @category events
 * @since 0.1.0
 */
export const DialFailed = Schema.TaggedStruct("DialFailed", {
  error: DialError,
  millis: Schema.Int,
  /** The addresses that failed, as `Connected` has them. */
  failed: Schema.optionalKey(Schema.Array(Tried))
})
export interface DialFailed extends Schema.Schema.Type<typeof DialFailed> {}

/**
 * A dial goes on to another address of the peer, because one has failed.
 *
 * @category events
 * @since 0.1.0
 */
export const Fallback = Schema.TaggedStruct("Fallback", {
  /** The stacks of the address that failed and of the one that is tried now. */
  from: Schema.String,
  to: Schema.String,
  /** The address that failed, and why. */
  failed: Tried,
  /** The address that is tried now, as text without a seed. */
  next: Schema.String
})
export interface Fallback extends Schema.Schema.Type<typeof Fallback> {}

/**
 * Any event. Encodes as JSON with `Schema.toCodecJson(Events.Event)`.
 *
 * @category events
 * @since 0.1.0
 */
export const Event = Schema.Union([
  Connected,
  Closed,
  HandshakeFailed,
  Refused,
  DialFailed,
  Fallback,
  SourceFailed,
  RecordRefused,
  RecordConflict,
  GossipDropped,
  WorkerStarted,
  WorkerExited
])
export type Event =
  | Connected
  | Closed
  | HandshakeFailed
  | Refused
  | DialFailed
  | Fallback
  | SourceFailed
  | RecordRefused
  | RecordConflict
  | GossipDropped
  | WorkerStarted
  | WorkerExited
