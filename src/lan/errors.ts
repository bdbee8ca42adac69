/** Why the local network can't be heard or spoken to. */
import * as Schema from "effect/Schema"
import { oneLine } from "../printable.ts"
import { cause } from "../schema/cause.ts"

/**
 * A UDP socket could not be opened. `code` is the system's error code.
 *
 * @category errors
 * @since 0.1.0
 */
export class LanError extends Schema.TaggedError<LanError>("effect-multiserver/LanError")("LanError", {
  /** The port that was to be bound; 0 for a socket that only sends. */
  port: Schema.Int,
  code: Schema.String,
  cause
}) {
  override get message(): string {
    const { code, port } = this
    if (code === "EADDRINUSE") return `local network: another program has UDP port ${port} for itself alone; end it`
    return `local network: UDP port ${port} can't be opened (${oneLine(code)})`
  }
  get isRetryable(): boolean {
    return this.code === "EADDRINUSE"
  }
}
