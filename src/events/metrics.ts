/** The events as numbers, for Effect's metrics. */
import * as Effect from "effect/Effect"
import * as Metric from "effect/Metric"
import type { Event } from "./event.ts"

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

/**
 * Counts events in Effect's metrics: `Events.layer(Events.metrics)`.
 *
 * @category sinks
 * @since 0.1.0
 */
export const metrics = (event: Event): Effect.Effect<void> => {
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
      return tagged({ role: "dial", stack: event.to, from: event.from, tag: event.failed.reason._tag })
    case "DialFailed":
      return tagged({ role: "dial", tag: event.error.reason._tag })
    case "SourceFailed":
    case "RecordConflict":
      return tagged({ role: "lookup" })
    case "RecordRefused":
    case "GossipDropped":
      return tagged({ role: "lookup", tag: event.tag })
    case "WorkerStarted":
    case "WorkerExited":
      return tagged({ role: "listen" })
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
