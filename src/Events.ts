/**
 * Events: a record of each thing that happens to a connection, such as `Connected`, `Closed` and `HandshakeFailed`.
 * `Events` is a reference to the sink that receives them, which by default does nothing. It is read where a Multiserver
 * layer is built. `log`, `metrics` and the command's `--json` are sinks.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as LogLevel from "effect/LogLevel"
import * as Metric from "effect/Metric"
import * as PubSub from "effect/PubSub"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { Attempt, DialError } from "./DialError.ts"
import { guardedEffect } from "./guarded.ts"
import { HandshakeError } from "./HandshakeError.ts"
import { oneLine } from "./printable.ts"

// -----------------------------------------------------------------------------
// the events
// -----------------------------------------------------------------------------

const maybeText = Schema.optional(Schema.String)

const common = {
  /** Whether this side dialed or listened. */
  role: Schema.Literals(["dial", "listen"]),
  /** The address of the other end, as text without a seed. */
  remote: Schema.String,
  /** The names of the protocols: `net~shs`. */
  stack: Schema.String,
  /**
   * Where an accepted connection came from: an IP, or what else its transport names sources by. Behind a trusted proxy
   * it is what the proxy says. `undefined` where nothing is known, and for a dial.
   */
  source: maybeText,
  /** Milliseconds since the connection was accepted or its dial began. */
  millis: Schema.Number
}

/** Of an open connection, its plaintext. Of a handshake, the bytes of its messages. */
const bytes = { bytesRead: Schema.Number, bytesWritten: Schema.Number }

/** All handshakes are done. */
export const Connected = Schema.TaggedStruct("Connected", {
  ...common,
  /** The peer's public key, base64, when it was proved. */
  peer: maybeText,
  /** Of a dial: how many of its `millis` its transport took to connect. The rest is handshakes. */
  connectMillis: Schema.optional(Schema.Number),
  /** Of a WebSocket that a web page opened: the page's origin, as its browser says. */
  origin: maybeText,
  /** Of a dial: the addresses that had failed before this one won, and why. */
  failed: Schema.Array(Attempt)
})
export interface Connected extends Schema.Schema.Type<typeof Connected> {}

/** The connection's scope is closed. */
export const Closed = Schema.TaggedStruct("Closed", {
  ...common,
  ...bytes,
  phase: Schema.Literal("open"),
  peer: maybeText,
  /** `end`: both sides have ended. `closed`: this side has left. Otherwise why it failed. */
  tag: Schema.Literals([
    "end",
    "closed",
    "Truncated",
    "Tampered",
    "Reset",
    "ProtocolViolation",
    "TimedOut",
    "LocallyClosed",
    "Other",
    "Defect"
  ])
})
export interface Closed extends Schema.Schema.Type<typeof Closed> {}

/** An accepted connection did not get through its handshakes. */
export const HandshakeFailed = Schema.TaggedStruct("HandshakeFailed", {
  ...common,
  ...bytes,
  /** The protocol whose handshake it was, and the message that was waited for or examined. */
  protocol: Schema.String,
  phase: Schema.String,
  tag: Schema.Literals([
    "PeerMisbehaved",
    "WrongNetwork",
    "WrongPeer",
    "NotAuthorized",
    "Rejected",
    "TimedOut",
    "Displaced",
    "Draining",
    "Other",
    "Defect"
  ]),
  error: HandshakeError
})
export interface HandshakeFailed extends Schema.Schema.Type<typeof HandshakeFailed> {}

/** A newcomer was turned away before its handshakes: before its first byte was read, or because of its HTTP request. */
export const Refused = Schema.TaggedStruct("Refused", {
  stack: Schema.String,
  /** Where it came from, as in the other events. */
  source: maybeText,
  /**
   * `TooManyConnections`, `TooManyFromSource`, `TooFast` (of one source): see `Limits`. `Origin`, `Host`,
   * `ProxyHeader`, `PlainHttp`, `UnknownPath`, `BadRequest`: see `Transport.TurnedAway`.
   */
  tag: Schema.Literals([
    "TooManyConnections",
    "TooManyFromSource",
    "TooFast",
    "DeniedByPolicy",
    "Draining",
    "Origin",
    "Host",
    "ProxyHeader",
    "PlainHttp",
    "UnknownPath",
    "BadRequest"
  ]),
  /** The web page that it says it is. */
  origin: maybeText,
  /**
   * How many refusals this event stands for. It is more than 1 when they come faster than the sink takes events.
   * The others may be of other sources.
   */
  count: Schema.Number
})
export interface Refused extends Schema.Schema.Type<typeof Refused> {}

/** A dial failed, with the reasons of each address that was tried. */
export const DialFailed = Schema.TaggedStruct("DialFailed", { error: DialError, millis: Schema.Number })
export interface DialFailed extends Schema.Schema.Type<typeof DialFailed> {}

/** A dial goes on to another address of the peer, because one has failed. */
export const Fallback = Schema.TaggedStruct("Fallback", {
  /** The stacks of the address that failed and of the one that is tried now. */
  from: Schema.String,
  to: Schema.String,
  /** The address that failed, as text without a seed. */
  address: Schema.String,
  /** The reason for which it failed. */
  tag: Schema.String
})
export interface Fallback extends Schema.Schema.Type<typeof Fallback> {}

/** Any event. Encodes as JSON with `Schema.toCodecJson(Events.Event)`. */
export const Event = Schema.Union([Connected, Closed, HandshakeFailed, Refused, DialFailed, Fallback])
export type Event = Connected | Closed | HandshakeFailed | Refused | DialFailed | Fallback

// -----------------------------------------------------------------------------
// the sinks
// -----------------------------------------------------------------------------

/**
 * Receives each event. If it dies, that is logged, and nothing else ends. Connections wait for it, so it should be
 * quick: after the `close` time of `Limits` it is interrupted, and the event is lost.
 */
export type Sink = (event: Event) => Effect.Effect<void>

/** The default sink, which ignores all events. */
export const nobody: Sink = () => Effect.void

/** The sink of a Multiserver, read where its layer is built. By default `nobody`. */
export const Events: Context.Reference<Sink> = Context.Reference("effect-multiserver/Events", {
  defaultValue: () => nobody
})

/** Gives these sinks to the Multiserver layers that are built with it. Each sink receives all events. */
export const layer = (...sinks: ReadonlyArray<Sink>): Layer.Layer<never> => {
  const guarded = sinks.map((sink) => guardedEffect("a sink of events failed", sink))
  return Layer.succeed(Events, (event) => Effect.forEach(guarded, (sink) => sink(event), { discard: true }))
}

// -----------------------------------------------------------------------------
// the log
// -----------------------------------------------------------------------------

/** How many refusals one event stands for. */
const timesOf = (count: number): string => (count === 1 ? "" : ` (${count} times)`)

/** An event as text for people, on one line that is safe to print. */
export const line = (event: Event): string => {
  switch (event._tag) {
    case "Connected":
      return oneLine(`connected with ${event.remote} in ${event.millis} ms`)
    case "Closed": {
      const { bytesRead, bytesWritten, millis, remote, tag } = event
      return oneLine(`closed ${remote} after ${millis} ms: ${tag}, ${bytesRead} bytes in, ${bytesWritten} bytes out`)
    }
    case "HandshakeFailed":
      return oneLine(`refused ${event.remote || (event.source ?? event.stack)}: ${event.error.message}`)
    case "Refused":
      return oneLine(`refused ${event.source ?? event.stack}: ${event.tag}${timesOf(event.count)}`)
    case "DialFailed":
      return oneLine(event.error.message)
    case "Fallback":
      return oneLine(`${event.address} failed (${event.tag}): going on from ${event.from} to ${event.to}`)
  }
}

/**
 * What peers and the network do is mostly ordinary: `Info`. Somebody should look at a refusal, a dial that fails, a
 * fallback to another address, and an open connection whose peer breaks the protocol: `Warn`. A defect is a bug in a
 * program: `Error`.
 */
const levelOf = (event: Event): LogLevel.Severity => {
  switch (event._tag) {
    case "Connected":
      return "Info"
    case "Closed":
      if (event.tag === "Defect") return "Error"
      return event.tag === "Tampered" || event.tag === "ProtocolViolation" ? "Warn" : "Info"
    case "HandshakeFailed":
      return event.tag === "Defect" ? "Error" : "Info"
    case "Refused":
    case "DialFailed":
    case "Fallback":
      return "Warn"
  }
}

/** Logs each event on one line: `Events.layer(Events.log, Events.metrics)`. */
export const log: Sink = (event) => Effect.logWithLevel(levelOf(event))(line(event))

/** Logs each event on one line, with the loggers of the program. */
export const layerLog: Layer.Layer<never> = layer(log)

// -----------------------------------------------------------------------------
// the stream
// -----------------------------------------------------------------------------

/** The hub from which `stream` takes events. `layerStream` makes it. */
export class Hub extends Context.Service<Hub, PubSub.PubSub<Event>>()("effect-multiserver/Events/Hub") {}

/**
 * Gives the events of a Multiserver to `stream`, and to other sinks. No connection waits for a slow reader of the
 * stream: of the events that it has not read, the last `capacity` are kept (by default 1,024).
 */
export const layerStream = (
  { capacity = 1024 }: { readonly capacity?: number } = {},
  ...sinks: ReadonlyArray<Sink>
): Layer.Layer<Hub> =>
  Layer.unwrap(
    Effect.map(PubSub.sliding<Event>(capacity), (hub) =>
      Layer.merge(
        Layer.succeed(Hub, hub),
        layer((event) => Effect.asVoid(PubSub.publish(hub, event)), ...sinks)
      )
    )
  )

/** The events from the moment in which the stream is run. Each run gets all of them. Needs `layerStream`. */
export const stream: Stream.Stream<Event, never, Hub> = Stream.unwrap(Effect.map(Hub, (hub) => Stream.fromPubSub(hub)))

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
    Metric.update(Metric.withAttributes(events, { event: event._tag, ...attributes }), by)
  switch (event._tag) {
    case "Connected":
      return tagged({ role: event.role, stack: event.stack })
    case "HandshakeFailed":
      return tagged({ role: event.role, stack: event.stack, tag: event.tag })
    case "Refused":
      return tagged({ role: "listen", stack: event.stack, tag: event.tag }, event.count)
    case "Fallback":
      return tagged({ role: "dial", stack: event.to, from: event.from, tag: event.tag })
    case "DialFailed":
      return tagged({ role: "dial", tag: event.error.reason._tag })
    case "Closed": {
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
