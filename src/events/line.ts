/** An event for a person who reads a log: its line, and its level. */
import type * as LogLevel from "effect/LogLevel"
import { oneLine } from "../printable.ts"
import type { Event, HandshakeFailed } from "./event.ts"

/** How many refusals one event stands for. */
const timesOf = (count: number): string => (count === 1 ? "" : ` (${count} times)`)

/**
 * An event as text for people, on one line that is safe to print.
 *
 * @category conversions
 * @since 0.1.0
 */
export const line = (event: Event): string => {
  switch (event._tag) {
    case "Connected":
      return oneLine(`connected with ${event.remote} in ${event.millis} ms`)
    case "Closed": {
      const { bytesRead, bytesWritten, failure, millis, remote, tag } = event
      const why = failure === undefined ? tag : `${tag}, ${failure.message}`
      return oneLine(`closed ${remote} after ${millis} ms: ${why}; ${bytesRead} bytes in, ${bytesWritten} bytes out`)
    }
    case "HandshakeFailed":
      return oneLine(`refused ${event.remote || (event.source ?? event.stack)}: ${event.error.message}`)
    case "Refused":
      return oneLine(`refused ${event.source ?? event.stack}: ${event.tag}${timesOf(event.count)}`)
    case "DialFailed":
      return oneLine(event.error.message)
    case "Fallback":
      return oneLine(`${event.failed.address} failed (${event.failed.reason.message}): trying ${event.next}`)
    case "SourceFailed":
      return oneLine(event.message)
    case "RecordRefused":
      return oneLine(`${event.source} gave a record of ${event.peer} that is not believed: ${event.tag}`)
    case "RecordConflict":
      return oneLine(
        `${event.peer} has signed two records of sequence ${event.sequence}; ${event.source} has another one`
      )
    case "GossipDropped":
      return oneLine(`${event.source} dropped ${event.remote}: ${event.tag}, ${event.detail}`)
    case "WorkerStarted":
      return `worker ${event.worker} (pid ${event.pid}) listens after ${event.millis} ms`
    case "WorkerExited": {
      const { code, open, pid, restartMillis, signal, worker } = event
      const lost = open === 1 ? "1 connection broke" : `${open} connections broke`
      return oneLine(
        `worker ${worker} (pid ${pid}) has ended (${signal ?? `exit code ${code}`}), and ${lost}: it is started ` +
          `again in ${restartMillis} ms`
      )
    }
  }
}

const failedToAuthorize = ({ error: { reason } }: HandshakeFailed): boolean =>
  reason._tag === "NotAuthorized" && reason.failed

/**
 * What peers and the network do is mostly ordinary: `Info`. Somebody should look at a refusal, a dial that fails, a
 * fallback to another address, and an open connection whose peer breaks the protocol: `Warn`. A defect, and an
 * `authorize` that fails, are faults of a program: `Error`.
 */
export const levelOf = (event: Event): LogLevel.Severity => {
  switch (event._tag) {
    case "Connected":
      return "Info"
    case "Closed":
      if (event.tag === "Defect") return "Error"
      return event.tag === "Tampered" || event.tag === "ProtocolViolation" ? "Warn" : "Info"
    case "WorkerStarted":
      return "Info"
    case "WorkerExited":
      return "Error"
    case "HandshakeFailed":
      return event.tag === "Defect" || failedToAuthorize(event) ? "Error" : "Info"
    case "Refused":
    case "DialFailed":
    case "Fallback":
    case "SourceFailed":
    case "RecordRefused":
    case "RecordConflict":
    case "GossipDropped":
      return "Warn"
  }
}
