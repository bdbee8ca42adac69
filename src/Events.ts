/**
 * One record for what happens to each connection: opened, and how it ended, `closed` or `handshake-failed`. A reference
 * that by default does nothing; `metrics` and the command's `--json` are made from it. Read where a Multiserver layer
 * is built.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import type { Account } from "./Connection.ts"
import type { Attempt, DialError } from "./DialError.ts"
import { guardedEffect } from "./guarded.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import type { Exceeded } from "./Limits.ts"
import type { TurnedAway } from "./Transport.ts"

interface Common {
  /** Whether this side dialed or listened. */
  readonly role: "dial" | "listen"
  /** The address of the other end, as text without a seed. */
  readonly remote: string
  /** The names of the protocols: `net~shs`. */
  readonly stack: string
  /**
   * The IP that a newcomer came from, behind a proxy that is trusted as it says. `undefined` where there is none, and
   * of a dial.
   */
  readonly source: string | undefined
  /** Milliseconds since the connection was accepted or its dial began. */
  readonly millis: number
}

/** All handshakes are done. */
export interface Connected extends Common {
  readonly event: "connected"
  /** The peer's public key, base64, when it was proved. */
  readonly peer: string | undefined
  /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
  readonly connectMillis: number | undefined
  /** Of a WebSocket that a web page opened: the page's origin, as its browser says. */
  readonly origin: string | undefined
  /** Of a dial: the addresses that had failed before this one won, and why. */
  readonly failed: ReadonlyArray<Attempt>
}

/** The connection's scope is closed. */
export interface Closed extends Common, Account {
  readonly event: "closed"
  readonly phase: "open"
  readonly peer: string | undefined
}

/** An accepted connection did not get through its handshakes. */
export interface HandshakeFailed extends Common, Pick<Account, "bytesRead" | "bytesWritten"> {
  readonly event: "handshake-failed"
  /** The protocol whose handshake it was, and the message that was waited for or examined. */
  readonly protocol: string
  readonly phase: string
  readonly tag: HandshakeError["reason"]["_tag"]
  readonly error: HandshakeError
}

/**
 * A newcomer was turned away before a handshake: before its first byte was read, or for what it asked of an HTTP
 * server.
 */
export interface Refused {
  readonly event: "refused"
  readonly stack: string
  /** The IP that it came from. */
  readonly source: string | undefined
  /**
   * `TooManyConnections`, `TooManyFromSource`, `TooFast` (of one source): see `Limits`. `Origin`, `Host`,
   * `ProxyHeader`, `PlainHttp`, `UnknownPath`, `BadRequest`: see `Transport.TurnedAway`.
   */
  readonly tag: Exceeded | "DeniedByPolicy" | "Draining" | TurnedAway
  /** The web page that it said it was. */
  readonly origin: string | undefined
  /**
   * How many this stands for: more than 1 when they come faster than they are heard of. They may be of other sources.
   */
  readonly count: number
}

/** A dial failed, with the reasons of each address that was tried. */
export interface DialFailed {
  readonly event: "dial-failed"
  readonly error: DialError
  readonly millis: number
}

/** A dial goes on to another address of the peer, because one has failed. */
export interface Fallback {
  readonly event: "fallback"
  /** The stacks of the address that failed and of the one that is tried now. */
  readonly from: string
  readonly to: string
  /** The address that failed, as text without a seed. */
  readonly address: string
  readonly tag: Attempt["reason"]["_tag"]
}

export type Event = Connected | Closed | HandshakeFailed | Refused | DialFailed | Fallback

/**
 * Hears each event. What it fails with is logged and ends nothing else. Connections wait for it, so it should not take
 * long.
 */
export type Sink = (event: Event) => Effect.Effect<void>

/** Hears nothing: the default. */
export const nobody: Sink = () => Effect.void

export const Events: Context.Reference<Sink> = Context.Reference("effect-multiserver/Events", {
  defaultValue: () => nobody
})

/** Hears events where a Multiserver is made; each sink hears all. */
export const layer = (...sinks: ReadonlyArray<Sink>): Layer.Layer<never> => {
  const guarded = sinks.map((sink) => guardedEffect("a sink of events failed", sink))
  return Layer.succeed(Events, (event) => Effect.forEach(guarded, (sink) => sink(event), { discard: true }))
}

// -----------------------------------------------------------------------------
// metrics
// -----------------------------------------------------------------------------

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

const events = counter("multiserver_events", "What happened to connections, by event, role, stack and tag")
const bytesRead = counter("multiserver_bytes_read", "Bytes that closed connections had read, by role and stack")
const bytesWritten = counter(
  "multiserver_bytes_written",
  "Bytes that closed connections had written, by role and stack"
)
const duration = Metric.histogram("multiserver_connection_millis", {
  description: "How long closed connections had lasted, in milliseconds, by role and stack",
  boundaries: Metric.exponentialBoundaries({ start: 1, factor: 4, count: 12 })
})

/** Counts events in Effect's metrics: `Events.layer(Events.metrics)`. */
export const metrics: Sink = (event) => {
  const tagged = (attributes: Record<string, string>, by = 1) =>
    Metric.update(Metric.withAttributes(events, { event: event.event, ...attributes }), by)
  switch (event.event) {
    case "connected":
      return tagged({ role: event.role, stack: event.stack })
    case "handshake-failed":
      return tagged({ role: event.role, stack: event.stack, tag: event.tag })
    case "refused":
      return tagged({ role: "listen", stack: event.stack, tag: event.tag }, event.count)
    case "fallback":
      return tagged({ role: "dial", stack: event.to, from: event.from, tag: event.tag })
    case "dial-failed":
      return tagged({ role: "dial", tag: event.error.reason._tag })
    case "closed": {
      const labels = { role: event.role, stack: event.stack }
      return Effect.all(
        [
          tagged({ ...labels, tag: event.tag }),
          Metric.update(Metric.withAttributes(bytesRead, labels), event.bytesRead),
          Metric.update(Metric.withAttributes(bytesWritten, labels), event.bytesWritten),
          Metric.update(Metric.withAttributes(duration, labels), event.millis)
        ],
        { discard: true }
      )
    }
  }
}
