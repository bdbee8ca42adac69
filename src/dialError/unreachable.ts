/** The reason of a dial that finds no way to the peer, with what an HTTP server on the way says. */
import * as Schema from "effect/Schema"
import { isOfTheMoment } from "../httpStatus.ts"
import { cause } from "../schema/cause.ts"

/**
 * An HTTP server's answer to a request for a WebSocket: its status, where it redirects to, if it does, and what the
 * user can do about it.
 */
const HttpAnswer = Schema.Struct({
  status: Schema.Number,
  location: Schema.optionalKey(Schema.String),
  advice: Schema.String
})

/**
 * There is no way to the peer. `code` is the system's error code, or for example `HTTP_404` from an HTTP server.
 *
 * @category errors
 * @since 0.1.0
 */
export class Unreachable extends Schema.TaggedError<Unreachable>()("Unreachable", {
  code: Schema.String,
  /** The HTTP server's answer, if there was one. Its texts are made safe to print. */
  http: Schema.optionalKey(HttpAnswer),
  /** The system's error. */
  cause
}) {
  override get message(): string {
    // These codes of Node's HTTP parser mean that the answer is not HTTP.
    if (this.code.startsWith("HPE_")) return `what answers there does not speak HTTP (${this.code})`
    // A page learns no more than this, so that it can't look around in its user's network.
    if (this.code === "WS_1006") {
      return (
        `unreachable (${this.code}): nothing answers there, or what answers refuses this page or is no WebSocket; ` +
        "the platform does not say which, but a browser's console may"
      )
    }
    return this.http === undefined
      ? `unreachable (${this.code})`
      : `unreachable (${this.code}): an HTTP server answered ${this.http.status}; ${this.http.advice}`
  }
  /** Not after an HTTP server's answer, unless that may differ the next time: 408, 425, 429 and 5xx. */
  get isRetryable(): boolean {
    return this.http === undefined || isOfTheMoment(this.http.status)
  }
}
