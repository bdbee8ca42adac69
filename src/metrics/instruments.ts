/**
 * The instruments: their names, units and attributes as in OpenTelemetry's conventions. `names.ts` has the names that
 * Prometheus knows them by.
 */
import * as Metric from "effect/Metric"

/** The buckets of times that a peer or the network takes, in seconds. Over Tor, a dial can take a minute. */
const waits = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

/** The buckets of how long connections last: from 10 ms to a day. */
const lives = [0.01, 0.1, 1, 10, 60, 300, 1800, 3600, 14_400, 86_400]

const histogram = (name: string, description: string, boundaries: ReadonlyArray<number>) =>
  Metric.histogram(name, { description, boundaries, attributes: { unit: "s" } })

const counter = (name: string, description: string, unit: string) =>
  Metric.counter(name, { description, incremental: true, attributes: { unit } })

export const dials = counter("multiserver.dials", "Dials, whichever of their addresses they tried", "{dial}")

export const fallbacks = counter(
  "multiserver.dial.fallbacks",
  "Dials that went on to another address, by the stack and the failure of the one before",
  "{fallback}"
)

export const attempts = histogram(
  "multiserver.dial.attempt.duration",
  "How long attempts to dial one address took, handshakes included",
  waits
)

export const handshakes = histogram(
  "multiserver.handshake.duration",
  "How long the handshakes of a connection took together",
  waits
)

export const connections = histogram("multiserver.connection.duration", "How long closed connections lasted", lives)

export const active = Metric.gauge("multiserver.active_connections", {
  description: "Open connections whose handshakes are done",
  attributes: { unit: "{connection}" }
})

export const refused = counter(
  "multiserver.refused_connections",
  "Newcomers that were turned away before their handshakes",
  "{connection}"
)

export const carried = counter(
  "multiserver.network.io",
  "Bytes that connections have carried for their users, without handshakes and encryption",
  "By"
)

export const lookups = counter(
  "multiserver.lookup.failures",
  "Sources of peers' addresses that failed, and what they gave that is not believed",
  "{failure}"
)
