/** The events of worker processes, as schemas. */
import * as Schema from "effect/Schema"

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
