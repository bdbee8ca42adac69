/** The reason of a dial that can't set up TLS. */
import * as Schema from "effect/Schema"
import { printable } from "../printable.ts"
import { cause } from "../schema/cause.ts"

/**
 * TLS could not be set up.
 *
 * @category errors
 * @since 0.1.0
 */
export class Tls extends Schema.TaggedError<Tls>()("Tls", {
  code: Schema.String,
  detail: Schema.String,
  /** Only when the connection broke. A certificate that is not trusted now will not be trusted the next time. */
  isRetryable: Schema.Boolean,
  /** The system's error. Errors that may quote a certificate are only in `detail`, where they are safe to print. */
  cause
}) {
  override get message(): string {
    return `TLS: ${printable(this.detail)} (${printable(this.code)})`
  }
}
