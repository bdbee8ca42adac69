/** The reason for what only somebody else's protocol knows, in each kind of error. */
import * as Schema from "effect/Schema"
import { printable } from "./printable.ts"
import { cause } from "./schema/cause.ts"

/**
 * A reason of a protocol that is not in this package, which says itself what it is: `code` for programs, `detail` for
 * people. `cause` takes the protocol's own error, so that its users can look for that.
 *
 * @category errors
 * @since 0.1.0
 */
export class Other extends Schema.TaggedError<Other>()("Other", {
  /** A word for programs, as `QuotaExceeded`. */
  code: Schema.String,
  /** The message: what failed, and what can be done. */
  detail: Schema.String,
  /** Whether a retry can help. */
  isRetryable: Schema.Boolean,
  cause
}) {
  override get message(): string {
    return `${printable(this.detail)} (${printable(this.code)})`
  }
}
