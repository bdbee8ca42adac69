/** Why a gossip can't be made. */
import * as Schema from "effect/Schema"

/**
 * A peer of the list can't be gossiped with.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadPeer extends Schema.TaggedError<BadPeer>()("BadPeer", {
  /** Its place in the list, from 0. */
  index: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `peer number ${this.index + 1}: ${this.detail}`
  }
}

/**
 * An option has a value that can't be obeyed.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadOption extends Schema.TaggedError<BadOption>()("BadOption", {
  option: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.option}: ${this.detail}`
  }
}

/**
 * The options of a gossip can't be obeyed.
 *
 * @category errors
 * @since 0.1.0
 */
export class GossipError extends Schema.TaggedError<GossipError>("effect-multiserver/GossipError")("GossipError", {
  reason: Schema.Union([BadPeer, BadOption])
}) {
  override get message(): string {
    return `gossip: ${this.reason.message}`
  }
  get isRetryable(): boolean {
    return false
  }
}
