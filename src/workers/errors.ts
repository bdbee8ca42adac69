/** Why a program can't run as several workers. */
import * as Schema from "effect/Schema"

/**
 * The number of workers is not one.
 *
 * @category errors
 * @since 0.1.0
 */
export class BadCount extends Schema.TaggedError<BadCount>()("BadCount", { count: Schema.Number }) {
  override get message(): string {
    return `${this.count} workers are not possible: give a whole number from 1 to 1024`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A limit can't be divided among the workers, because some would get nothing.
 *
 * @category errors
 * @since 0.1.0
 */
export class LimitTooSmall extends Schema.TaggedError<LimitTooSmall>()("LimitTooSmall", {
  limit: Schema.String,
  value: Schema.Number,
  workers: Schema.Int
}) {
  override get message(): string {
    return (
      `the limit ${this.limit} is ${this.value}, which can't be divided among ${this.workers} workers: raise it, or ` +
      "take fewer workers"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * This process has inherited sockets, as systemd passes them, and workers can't share those.
 *
 * @category errors
 * @since 0.1.0
 */
export class SocketsInherited extends Schema.TaggedError<SocketsInherited>()("SocketsInherited", {}) {
  override get message(): string {
    return "workers can't listen on inherited sockets (LISTEN_FDS): leave out the socket unit, or the workers"
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A worker has ended, or its layer has failed, before it listened. `worker` counts from 1.
 *
 * @category errors
 * @since 0.1.0
 */
export class NotStarted extends Schema.TaggedError<NotStarted>()("NotStarted", {
  worker: Schema.Int,
  detail: Schema.String
}) {
  override get message(): string {
    return `worker ${this.worker} did not start: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * The layer of the workers was built, and no Multiserver in it listens.
 *
 * @category errors
 * @since 0.1.0
 */
export class NothingListens extends Schema.TaggedError<NothingListens>()("NothingListens", {}) {
  override get message(): string {
    return (
      "nothing listens in the layer of the workers: give the Multiserver layer to the layer that Workers.launch " +
      "takes, and not to Workers.launch"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A worker listens on other addresses than the first one: mostly because each has made a key of its own.
 *
 * @category errors
 * @since 0.1.0
 */
export class OtherAddresses extends Schema.TaggedError<OtherAddresses>()("OtherAddresses", {
  worker: Schema.Int,
  addresses: Schema.Array(Schema.String),
  expected: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return (
      `worker ${this.worker} listens on ${this.addresses.join(", ")} and not on ${this.expected.join(", ")}: give ` +
      "all workers the same keys, by an Identity that is provided to Workers.launch"
    )
  }
  get isRetryable(): boolean {
    return false
  }
}

/**
 * A program can't run as several workers.
 *
 * @category errors
 * @since 0.1.0
 */
export class WorkersError extends Schema.TaggedError<WorkersError>("effect-multiserver/WorkersError")("WorkersError", {
  reason: Schema.Union([BadCount, LimitTooSmall, SocketsInherited, NotStarted, NothingListens, OtherAddresses])
}) {
  override get message(): string {
    return this.reason.message
  }
  get isRetryable(): boolean {
    return this.reason.isRetryable
  }
}
