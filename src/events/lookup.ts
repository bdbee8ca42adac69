/** The events of look-ups, as schemas. */
import * as Schema from "effect/Schema"

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
  peer: Schema.optional(Schema.String),
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
