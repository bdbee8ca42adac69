/** What the command reports: the shapes of its events, and what becomes one. */
import * as Cause from "effect/Cause"
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import type { DialError } from "../DialError.ts"
import * as Events from "../Events.ts"
import { attemptsOf, type CommandError, messageOf, reasonOf } from "./exit.ts"

/** The number of a connection of this command: `connected`, `closed` and `bridged` name it. */
interface OfId {
  readonly id: number
}

interface OfWorker {
  /** Of several workers, the one that has the connection, from 1. */
  readonly worker?: number
}

interface OfConnection extends OfWorker {
  /** Whether this side dialed or listened. */
  readonly role: "dial" | "listen"
  /** The peer's address as it was reached, with the key that the peer proved. */
  readonly address: string
  readonly stack: string
  /** The IP that the peer came from; `null` for a dial, and where there is none. */
  readonly source: string | null
  /** Milliseconds since the connection was accepted, or since its dial began. */
  readonly millis: number
}

/** The public key that the peer has proved, base64; `null` where the stack doesn't authenticate. */
interface OfPeer {
  readonly peer: string | null
}

/** What is reported about a failure. */
export interface Failed {
  readonly reason: string
  readonly message: string
  /** Only for a dial that tried several addresses. */
  readonly attempts?: ReadonlyArray<{ readonly address: string; readonly reason: string; readonly message: string }>
}

/** The shapes of `--json`; docs/cli.md describes them. */
export type Event =
  | {
      readonly event: "listening"
      readonly addresses: ReadonlyArray<string>
      /** Of a bridge that adds and takes away no transform: the peers at its two ends may have some of their own. */
      readonly passes?: true
      /** Whether it is a tracker that listens. */
      readonly tracker?: true
    }
  | ({
      readonly event: "connected"
      /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
      readonly connectMillis?: number
    } & OfId &
      OfConnection &
      OfPeer)
  | ({
      readonly event: "closed"
      readonly bytesRead: number
      readonly bytesWritten: number
      readonly reason: string
      /** Only for a connection that failed. */
      readonly message?: string
    } & OfId &
      OfConnection &
      OfPeer)
  | {
      readonly event: "published"
      readonly addresses: ReadonlyArray<string>
      readonly sequence: number
      /** When the record expires. */
      readonly until: string
    }
  | { readonly event: "bridged"; readonly id: number; readonly with: number }
  | {
      readonly event: "retry"
      readonly reason: string
      readonly message: string
      readonly attempt: number
      readonly millis: number
    }
  | ({
      readonly event: "handshake-failed"
      readonly protocol: string
      readonly phase: string
      readonly bytesRead: number
      readonly bytesWritten: number
      readonly reason: string
      readonly message: string
      readonly count: number
    } & OfConnection)
  | ({
      readonly event: "refused"
      readonly source: string | null
      readonly stack: string
      readonly reason: string
      readonly count: number
    } & OfWorker)
  | {
      readonly event: "fallback"
      readonly address: string
      readonly from: string
      readonly next: string
      readonly to: string
      readonly reason: string
      readonly message: string
    }
  | { readonly event: "lookup"; readonly source: string; readonly reason: string; readonly message: string }
  | ({ readonly event: "dial-failed"; readonly id: number; readonly from: string } & Failed)
  | {
      readonly event: "metrics"
      /** Where Prometheus finds them. */
      readonly url: string
    }
  | { readonly event: "worker-started"; readonly worker: number; readonly pid: number; readonly millis: number }
  | {
      readonly event: "worker-exited"
      readonly worker: number
      readonly pid: number
      readonly code: number | null
      readonly signal: string | null
      /** How many connections broke with it. */
      readonly open: number
      /** When it is started again. */
      readonly restartMillis: number
      readonly message: string
    }
  | { readonly event: "created"; readonly file: string; readonly key: string }
  | { readonly event: "reloaded"; readonly file: string }
  | { readonly event: "warning"; readonly message: string }
  | { readonly event: "log"; readonly level: string; readonly message: string }
  | ({ readonly event: "error"; readonly tag: string } & Failed)

// -----------------------------------------------------------------------------
// events from elsewhere
// -----------------------------------------------------------------------------

const ofWorker = ({ worker }: { readonly worker?: number | undefined }): OfWorker =>
  worker === undefined ? {} : { worker }

/** Converts an event of the library. `undefined` for a failed dial, which is reported once: as the command's error. */
export const fromLibrary = (event: Events.Event): Event | undefined => {
  switch (event._tag) {
    case "Connected":
    case "Closed": {
      const { id, millis, peer = null, remote: address, role, source = null, stack } = event
      const common = { id, role, address, peer, stack, source, millis, ...ofWorker(event) }
      if (event._tag === "Connected") {
        const { connectMillis } = event
        return { event: "connected", ...common, ...(connectMillis !== undefined && { connectMillis }) }
      }
      const { bytesRead, bytesWritten, failure, tag: reason } = event
      const message = failure?.message
      return { event: "closed", ...common, bytesRead, bytesWritten, reason, ...(message && { message }) }
    }
    case "HandshakeFailed": {
      const { bytesRead, bytesWritten, error, millis, phase, protocol, remote, role, source = null, stack, tag } = event
      const common = { role, address: remote, stack, source, millis, ...ofWorker(event) }
      const what = { protocol, phase, bytesRead, bytesWritten, reason: tag, message: error.message }
      return { event: "handshake-failed", ...common, ...what, count: 1 }
    }
    case "Refused":
      return {
        event: "refused",
        source: event.source ?? null,
        stack: event.stack,
        reason: event.tag,
        count: event.count,
        ...ofWorker(event)
      }
    case "Fallback": {
      const { failed, from, next, to } = event
      const { _tag: reason, message } = failed.reason
      return { event: "fallback", address: failed.address, from, next, to, reason, message }
    }
    case "SourceFailed":
    case "RecordRefused":
    case "RecordConflict":
    case "GossipDropped":
      return {
        event: "lookup",
        source: event.source,
        reason: "tag" in event ? event.tag : event._tag,
        message: Events.line(event)
      }
    case "WorkerStarted": {
      const { millis, pid, worker } = event
      return { event: "worker-started", worker, pid, millis }
    }
    case "WorkerExited": {
      const { code, open, pid, restartMillis, signal, worker } = event
      return { event: "worker-exited", worker, pid, code, signal, open, restartMillis, message: Events.line(event) }
    }
    case "DialFailed":
      return undefined
  }
}

export const failed = (error: CommandError): Failed => {
  const attempts = attemptsOf(error)
  return { reason: reasonOf(error), message: messageOf(error), ...(attempts && { attempts }) }
}

export const fromError = (error: CommandError): Event => ({ event: "error", tag: error._tag, ...failed(error) })

/** The event for a failed dial of `bridge`, made for this connection. */
export const fromFailedDial = ({ id, remote }: Connection, error: DialError): Event => ({
  event: "dial-failed",
  id,
  from: Address.format(remote),
  ...failed(error)
})

/** The event for a defect, which is always a bug of this program. */
export const fromDefect = (cause: Cause.Cause<unknown>): Event => ({
  event: "error",
  tag: "Defect",
  reason: "Defect",
  message: `a fault of this program, please report it: ${Cause.pretty(cause)}`
})
