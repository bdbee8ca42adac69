/** The reason of a dial that can't set up TLS. */
import * as Schema from "effect/Schema"
import { printable } from "../printable.ts"
import { cause } from "../schema/cause.ts"

/** The system's error codes for a connection that broke. They don't mean that the peer's TLS is at fault. */
const broken = /^(ECONNRESET|ECONNABORTED|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENETDOWN|EHOSTDOWN)$/

/** OpenSSL's errors for bytes that are not TLS at all, such as a plain HTTP server's. */
const notTls = /wrong[ _]version[ _]number|packet[ _]length[ _]too[ _]long|http[ _]request/i

/** Node may pass on OpenSSL's whole error line, with a thread and a source file. The reason is one field of it. */
const reasonOf = (detail: string): string => /:SSL routines:[^:]*:([^:]+):/.exec(detail)?.[1] ?? detail

/**
 * TLS could not be set up.
 *
 * @category errors
 * @since 0.1.0
 */
export class Tls extends Schema.TaggedError<Tls>()("Tls", {
  code: Schema.String,
  detail: Schema.String,
  /** The system's error. Errors that may quote a certificate are only in `detail`, where they are safe to print. */
  cause
}) {
  override get message(): string {
    const code = printable(this.code)
    if (notTls.test(`${this.code} ${this.detail}`)) return `TLS: what answers there does not speak TLS (${code})`
    return `TLS: ${printable(reasonOf(this.detail))} (${code})`
  }
  /** Only when the connection broke. A certificate that is not trusted now will not be trusted the next time. */
  get isRetryable(): boolean {
    return broken.test(this.code)
  }
}
