/** Between the errors of Effect's `Socket`, where every end is one, and those of a connection. */
import * as Cause from "effect/Cause"
import * as Socket from "effect/socket/Socket"
import { ConnectionError, type ConnectionReason, isDraining, Reset, Truncated } from "../ConnectionError.ts"
import { DialError } from "../DialError.ts"

// ---- of a connection, for a socket ----

export const closeError = (code: number, closeReason?: string): Socket.SocketError =>
  new Socket.SocketError({ reason: new Socket.SocketCloseError({ code, closeReason }) })

/** Effect's own messages say only "An error occurred during Open". This one says what the cause says. */
const explained = <A extends Error>(reason: A): A => {
  const { cause, message } = reason
  const value = cause instanceof Error && cause.message !== "" ? cause.message : message
  return Object.defineProperty(reason, "message", { value, configurable: true, enumerable: false })
}

export const openError = (cause: unknown): Socket.SocketError => {
  const kind = cause instanceof DialError && cause.reason._tag === "TimedOut" ? "Timeout" : "Unknown"
  return new Socket.SocketError({ reason: explained(new Socket.SocketOpenError({ kind, cause })) })
}

export const readError = (cause: ConnectionError): Socket.SocketError =>
  isDraining(cause)
    ? closeError(1001, "draining")
    : new Socket.SocketError({ reason: explained(new Socket.SocketReadError({ cause })) })

export const writeError = (cause: ConnectionError): Socket.SocketError =>
  new Socket.SocketError({ reason: explained(new Socket.SocketWriteError({ cause })) })

/** A loop over a socket ends only by a failure: this one is the peer's end, or the listener's. */
const isClose = (error: unknown): boolean =>
  Socket.isSocketError(error) && error.reason._tag === "SocketCloseError" && error.reason.code <= 1001

/** Whether nothing but the close of a socket ended it. */
export const isClosed = (cause: Cause.Cause<unknown>): boolean =>
  cause.reasons.length > 0 && cause.reasons.every((reason) => Cause.isFailReason(reason) && isClose(reason.error))

// ---- of a socket, for a connection ----

const causeOf = ({ reason }: Socket.SocketError): unknown => ("cause" in reason ? reason.cause : undefined)

/** The connection's own error in one that `readError` or `writeError` made. */
export const connectionError = (error: unknown): ConnectionError | undefined => {
  const cause = Socket.isSocketError(error) ? causeOf(error) : undefined
  return cause instanceof ConnectionError ? cause : undefined
}

/** A close with 1000, or without a code. */
export const isCleanEnd = ({ reason }: Socket.SocketError): boolean =>
  reason._tag === "SocketCloseError" && (reason.code === 1000 || reason.code === 1005)

export const toReason = (error: Socket.SocketError): ConnectionReason => {
  if (error.reason._tag === "SocketCloseError") return new Truncated()
  const own = connectionError(error)
  if (own !== undefined) return own.reason
  const cause = causeOf(error)
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "UNKNOWN"
  return new Reset({ code, cause: error })
}
