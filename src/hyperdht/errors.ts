/** Why there is no node of the DHT. Apart from `node.ts`, whose declarations need those of `hyperdht`. */
import * as Schema from "effect/Schema"
import { cause } from "../schema/cause.ts"

/**
 * The node could not be made: `detail` says which option is wrong, or what the system did not permit.
 *
 * @category errors
 * @since 0.1.0
 */
export class HyperdhtError extends Schema.TaggedError<HyperdhtError>("effect-multiserver/HyperdhtError")(
  "HyperdhtError",
  { detail: Schema.String, cause }
) {
  override get message(): string {
    return `hyperdht: ${this.detail}`
  }
  get isRetryable(): boolean {
    return false
  }
}
