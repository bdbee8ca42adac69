/** The two procedures of a tracker, why it refuses a call, and how their messages are bounded. */
import * as Rpc from "effect/rpc/Rpc"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as Schema from "effect/Schema"
import { maxBytes } from "../AddressRecord.ts"
import { printable } from "../printable.ts"

// -----------------------------------------------------------------------------
// errors
// -----------------------------------------------------------------------------

/**
 * The bytes are not a record of the tracker's network.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadRecord extends Schema.TaggedError<BadRecord>()("BadRecord", {
  /** The tag of the `RecordError`'s reason: `Forged`, `OtherNetwork`. */
  tag: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `it is no record of the tracker's network: ${printable(this.detail, 200)}`
  }
}

/**
 * The record is of another key than the one that the publisher has proved.
 *
 * @category errors
 * @since 0.1.0
 */
export class OtherPeer extends Schema.TaggedError<OtherPeer>()("OtherPeer", {}) {
  override get message(): string {
    return "the record is of another peer: each peer publishes its own"
  }
}

/**
 * The tracker has a newer record of this peer.
 *
 * @category errors
 * @since 0.1.0
 */
export class Older extends Schema.TaggedError<Older>()("Older", {
  /** The sequence of the record that the tracker has. */
  sequence: Schema.Int
}) {
  override get message(): string {
    return `the tracker has a newer record, with the sequence ${this.sequence}: publish one with a higher sequence`
  }
}

/**
 * The peer has signed another record with the same sequence, and the tracker has that one.
 *
 * @category errors
 * @since 0.1.0
 */
export class Conflict extends Schema.TaggedError<Conflict>()("Conflict", { sequence: Schema.Int }) {
  override get message(): string {
    return `the tracker has another record with the sequence ${this.sequence}: publish one with a higher sequence`
  }
}

/**
 * The record has expired by the tracker's clock.
 *
 * @category errors
 * @since 0.1.0
 */
export class Expired extends Schema.TaggedError<Expired>()("Expired", {
  /** When it expired, in seconds since 1970. */
  expires: Schema.Int
}) {
  override get message(): string {
    return "the record has expired by the tracker's clock: publish a new one, and compare the clocks"
  }
}

/**
 * The key, the IP or the network of the caller has called too often. The tracker reads nothing more from the connection
 * until then, or for a second.
 *
 * @category errors
 * @since 0.1.0
 */
export class TooOften extends Schema.TaggedError<TooOften>()("TooOften", {
  /** When the next call of this kind may come, in milliseconds. */
  retryAfter: Schema.Int
}) {
  override get message(): string {
    return `called too often: try again in ${this.retryAfter} ms`
  }
}

/**
 * Why a tracker refuses a call.
 *
 * @category errors
 * @since 0.1.0
 */
export class TrackerError extends Schema.TaggedError<TrackerError>("effect-multiserver/TrackerError")("TrackerError", {
  reason: Schema.Union([BadRecord, OtherPeer, Older, Conflict, Expired, TooOften])
}) {
  override get message(): string {
    return `the tracker refuses: ${this.reason.message}`
  }
  get isRetryable(): boolean {
    return this.reason._tag === "TooOften"
  }
}

// -----------------------------------------------------------------------------
// procedures
// -----------------------------------------------------------------------------

const record = Schema.Uint8Array.check(
  Schema.makeFilter((bytes: Uint8Array) => bytes.length <= maxBytes || `expected at most ${maxBytes} bytes`)
)
const key = Schema.Uint8Array.check(
  Schema.makeFilter((bytes: Uint8Array) => bytes.length === 32 || "expected 32 bytes")
)

/**
 * `Publish` gives the tracker the caller's own record. `Find` asks for the newest record of a key: a list with one, or
 * with none.
 *
 * @category models
 * @since 0.1.0
 */
export const Procedures = RpcGroup.make(
  Rpc.make("Publish", { payload: { record }, error: TrackerError }),
  Rpc.make("Find", {
    payload: { key },
    success: Schema.Array(record).check(Schema.isMaxLength(1)),
    error: TrackerError
  })
)

// -----------------------------------------------------------------------------
// messages
// -----------------------------------------------------------------------------

/**
 * The longest message in bytes, in both directions. A record has at most 1,000 bytes. The rest is for the envelope, the
 * texts of errors, and the headers that other clients of Effect's RPC may send.
 */
export const maxMessage = 4096

/** How messages are written. */
export const serialization = RpcSerialization.layerSchemaBinary({ maxFrameSize: maxMessage })
