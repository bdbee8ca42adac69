/** The events as schemas: a record of each thing that happens to a connection, or in a look-up. */
import * as Schema from "effect/Schema"
import { ConnectionReason, Defect } from "../ConnectionError.ts"
import { Attempt, DialError } from "../DialError.ts"
import { HandshakeError } from "../HandshakeError.ts"

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
  /** Unless nothing was sent, such as for a stack that is not spoken: the stack, and how long the attempt took. */
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
 * A source of a `Lookup` could not be asked, or did not take a record.
 *
 * @category events
 * @since 0.1.0
 */
export const SourceFailed = Schema.TaggedStruct("SourceFailed", {
  /** The source's name. */
  source: Schema.String,
  message: Schema.String,
  isRetryable: Schema.Boolean
})
export interface SourceFailed extends Schema.Schema.Type<typeof SourceFailed> {}

/**
 * A source of a `Lookup` gave a record that is not to be believed.
 *
 * @category events
 * @since 0.1.0
 */
export const RecordRefused = Schema.TaggedStruct("RecordRefused", {
  /** The source's name. */
  source: Schema.String,
  /** The key that was looked for, base64. */
  peer: Schema.String,
  /** `OtherPeer`: it is the record of another key. The others are reasons of `RecordError`. */
  tag: Schema.Literals(["TooLarge", "Malformed", "OtherNetwork", "Forged", "NotPublishable", "OtherPeer"])
})
export interface RecordRefused extends Schema.Schema.Type<typeof RecordRefused> {}

/**
 * A peer has signed two records of the same sequence. The one that came first counts. Either its key is used by two
 * programs, or the peer tells some that it is elsewhere.
 *
 * @category events
 * @since 0.1.0
 */
export const RecordConflict = Schema.TaggedStruct("RecordConflict", {
  /** The source that gave the second one. */
  source: Schema.String,
  /** The key of the peer, base64. */
  peer: Schema.String,
  sequence: Schema.Number
})
export interface RecordConflict extends Schema.Schema.Type<typeof RecordConflict> {}

/**
 * A gossip broke off an exchange with a peer, because of what the peer is or does. Its other peers are not affected,
 * and this one may try again.
 *
 * @category events
 * @since 0.1.0
 */
export const GossipDropped = Schema.TaggedStruct("GossipDropped", {
  /** The source's name. */
  source: Schema.String,
  /** Whether this side dialed or listened. */
  role: Schema.Literals(["dial", "listen"]),
  /** The address of the peer, as text without a seed. */
  remote: Schema.String,
  /** The peer's public key, base64, when it was proved. */
  peer: maybeText,
  /**
   * `NotListed`: its key is not on the list. `Unproved`: the stack proves nothing about it. `TooOften`, `Busy`: it
   * begins exchanges too often, or too many are served. `Malformed`: it sends no message that fits. `TooMuch`: a
   * message is too long, or there are too many. `Unasked`: a record that it should not have sent. `BadRecord`: a
   * record that is forged, or none of this network. `TimedOut`: the exchange took too long. `Disconnected`: it left
   * early.
   */
  tag: Schema.Literals([
    "NotListed",
    "Unproved",
    "TooOften",
    "Busy",
    "Malformed",
    "TooMuch",
    "Unasked",
    "BadRecord",
    "TimedOut",
    "Disconnected"
  ]),
  detail: Schema.String
})
export interface GossipDropped extends Schema.Schema.Type<typeof GossipDropped> {}

/**
 * A worker process listens. Emitted by the process that has started it: see `Workers`.
 *
 * @category events
 * @since 0.1.0
 */
export const WorkerStarted = Schema.TaggedStruct("WorkerStarted", {
  /** Which of the workers it is, from 1. A worker that is started again has the same number. */
  worker: Schema.Int,
  pid: Schema.Int,
  /** Milliseconds since its process was started. */
  millis: Schema.Int
})
export interface WorkerStarted extends Schema.Schema.Type<typeof WorkerStarted> {}

/**
 * A worker process has ended although nobody has asked it to. A `Closed` event follows for each of its connections.
 *
 * @category events
 * @since 0.1.0
 */
export const WorkerExited = Schema.TaggedStruct("WorkerExited", {
  worker: Schema.Int,
  pid: Schema.Int,
  /** Its exit code, or the signal that has ended it. */
  code: Schema.NullOr(Schema.Int),
  signal: Schema.NullOr(Schema.String),
  /** How many open connections have broken with it. */
  open: Schema.Int,
  /** After how many milliseconds it is started again. */
  restartMillis: Schema.Int
})
export interface WorkerExited extends Schema.Schema.Type<typeof WorkerExited> {}

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
