/** Why nothing was found, and why nothing was published. */
import * as Schema from "effect/Schema"
import { SourceError } from "./source.ts"

const all = (failures: ReadonlyArray<SourceError>): string => failures.map(({ message }) => message).join("; ")

/**
 * Nothing was found, and at least one source could not be asked.
 *
 * @category errors
 * @since 0.1.0
 */
export class LookupError extends Schema.TaggedError<LookupError>("effect-multiserver/LookupError")("LookupError", {
  /** The key that was looked for, base64. */
  peer: Schema.String,
  failures: Schema.Array(SourceError)
}) {
  override get message(): string {
    return `no record of ${this.peer} was found; ${all(this.failures)}`
  }
  get isRetryable(): boolean {
    return this.failures.some(({ isRetryable }) => isRetryable)
  }
}

/**
 * No source took the record. Without failures, none of the sources can be published to.
 *
 * @category errors
 * @since 0.1.0
 */
export class PublishError extends Schema.TaggedError<PublishError>("effect-multiserver/PublishError")("PublishError", {
  failures: Schema.Array(SourceError)
}) {
  override get message(): string {
    return this.failures.length === 0
      ? "nothing is published: none of the sources of Lookup.layer([...]) takes records; add a tracker, for example"
      : `no source took the record; ${all(this.failures)}`
  }
  get isRetryable(): boolean {
    return this.failures.some(({ isRetryable }) => isRetryable)
  }
}
