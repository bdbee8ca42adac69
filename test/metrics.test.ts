/** The events as numbers: what is counted, of how many labels, and how live. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import * as TestClock from "effect/testing/TestClock"
import type * as Address from "../src/Address.ts"
import { DialError, Other as OtherDial, Refused } from "../src/DialError.ts"
import * as Events from "../src/Events.ts"
import { HandshakeError, Other, Rejected } from "../src/HandshakeError.ts"
import * as Limits from "../src/Limits.ts"
import * as Metrics from "../src/Metrics.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { Tally } from "../src/metrics/tally.ts"
import { echo, pattern, protocols, served, until } from "./support/servers.ts"

const fresh = () => Context.make(Metric.MetricRegistry, new Map())

const text = (context: Context.Context<never>): string =>
  PrometheusMetrics.formatUnsafe(context, { metricNameMapper: Metrics.prometheusName })

/** The lines of a metric, without its buckets. */
const linesOf = (context: Context.Context<never>, name: string): ReadonlyArray<string> =>
  text(context)
    .split("\n")
    .filter((line) => line.startsWith(name) && !line.includes("_bucket"))

const connected = (id: number, stack: string, more: Partial<Events.Connected> = {}): Events.Connected => ({
  _tag: "Connected",
  id,
  role: "listen",
  stack,
  remote: "net:203.0.113.7:1~shs:KEY",
  peer: "KEY",
  millis: 20,
  failed: [],
  ...more
})

const closed = (id: number, stack: string, more: Partial<Events.Closed> = {}): Events.Closed => ({
  _tag: "Closed",
  phase: "open",
  id,
  role: "listen",
  stack,
  remote: "net:203.0.113.7:1~shs:KEY",
  millis: 2000,
  bytesRead: 70,
  bytesWritten: 30,
  tag: "end",
  ...more
})

describe("metrics", () => {
  it("have the units and the attributes of OpenTelemetry's conventions", () => {
    const context = fresh()
    const tally = new Tally(context)
    tally.event(connected(1, "net~shs"))
    tally.event(closed(1, "net~shs", { tag: "Reset" }))
    const units = Metric.snapshotUnsafe(context).map(({ attributes, id }) => [id, attributes?.unit] as const)
    assert.deepStrictEqual(Object.fromEntries(units), {
      "multiserver.active_connections": "{connection}",
      "multiserver.handshake.duration": "s",
      "multiserver.network.io": "By",
      "multiserver.connection.duration": "s"
    })
    const stack = `multiserver_stack="net~shs",network_transport="tcp"`
    assert.includeMembers(text(context).split("\n"), [
      `multiserver_active_connections{multiserver_role="listen",${stack}} 0`,
      `multiserver_handshake_duration_seconds_sum{multiserver_role="listen",${stack}} 0.02`,
      `multiserver_handshake_duration_seconds_bucket{multiserver_role="listen",${stack},le="0.025"} 1`,
      `multiserver_network_io_bytes_total{multiserver_role="listen",${stack},network_io_direction="receive"} 70`,
      `multiserver_network_io_bytes_total{multiserver_role="listen",${stack},network_io_direction="transmit"} 30`,
      `multiserver_connection_duration_seconds_sum{multiserver_role="listen",${stack},error_type="Reset"} 2`
    ])
  })

  it("tell of each attempt of a dial how long it took, and its handshakes, also when they failed", () => {
    const context = fresh()
    const tally = new Tally(context)
    const rejected = new HandshakeError({ protocol: "shs", phase: "accept", reason: new Rejected({ after: "auth" }) })
    const failed: ReadonlyArray<Events.Tried> = [
      { address: "net:h:1~noise:KEY", reason: new Refused({}), stack: "net~noise", millis: 10 },
      { address: "net:h:1~shs:KEY", reason: rejected, stack: "net~shs", millis: 50, connectMillis: 20 }
    ]
    tally.event(connected(1, "ws~shs", { role: "dial", millis: 100, connectMillis: 60, failed }))
    tally.event({
      _tag: "DialFailed",
      error: new DialError({ address: "net:h:1~shs:KEY", reason: rejected }),
      millis: 50,
      failed: failed.slice(1)
    })
    const tcp = `network_transport="tcp"`
    assert.deepStrictEqual(linesOf(context, "multiserver_dial"), [
      "multiserver_dials_total 1",
      `multiserver_dials_total{error_type="Rejected"} 1`,
      `multiserver_dial_attempt_duration_seconds_sum{multiserver_stack="ws~shs",${tcp}} 0.1`,
      `multiserver_dial_attempt_duration_seconds_count{multiserver_stack="ws~shs",${tcp}} 1`,
      `multiserver_dial_attempt_duration_seconds_sum{multiserver_stack="net~noise",${tcp},error_type="Refused"} 0.01`,
      `multiserver_dial_attempt_duration_seconds_count{multiserver_stack="net~noise",${tcp},error_type="Refused"} 1`,
      `multiserver_dial_attempt_duration_seconds_sum{multiserver_stack="net~shs",${tcp},error_type="Rejected"} 0.1`,
      `multiserver_dial_attempt_duration_seconds_count{multiserver_stack="net~shs",${tcp},error_type="Rejected"} 2`
    ])
    const dial = `multiserver_role="dial",multiserver_stack`
    assert.deepStrictEqual(linesOf(context, "multiserver_handshake"), [
      `multiserver_handshake_duration_seconds_sum{${dial}="ws~shs",${tcp}} 0.04`,
      `multiserver_handshake_duration_seconds_count{${dial}="ws~shs",${tcp}} 1`,
      `multiserver_handshake_duration_seconds_sum{${dial}="net~shs",${tcp},error_type="Rejected"} 0.06`,
      `multiserver_handshake_duration_seconds_count{${dial}="net~shs",${tcp},error_type="Rejected"} 2`
    ])
  })

  it("have only so many labels, whatever a protocol or a peer makes up, and none with a key or an IP", () => {
    const context = fresh()
    const tally = new Tally(context)
    let size = 0
    for (let i = 0; i < 5000; i++) {
      const stack = `net~made-up-${i}`
      const remote = `net:203.0.113.${i % 256}:${i}~shs:KEY${i}`
      const own = { code: `code ${i}`, detail: `detail ${i}`, isRetryable: true }
      // What the types rule out, from a protocol whose code says what its peer has sent.
      const tag = `Peer said ${i}` as "Other"
      tally.event(connected(i, stack, { remote, peer: `KEY${i}`, origin: `https://${i}.example` }))
      tally.event(closed(i, stack, { remote, tag }))
      const error = new HandshakeError({ protocol: `protocol ${i}`, phase: `phase ${i}`, reason: new Other(own) })
      tally.event({ ...closed(i, `bad\n"${i}`), _tag: "HandshakeFailed", protocol: "x", phase: "x", tag, error })
      tally.event({ _tag: "Refused", stack, source: `203.0.113.${i % 256}`, tag: tag as "Host", count: 1 })
      const failure = new DialError({ address: remote, reason: new OtherDial(own) })
      tally.event({ _tag: "DialFailed", error: failure, millis: 1 })
      if (i === 99) size = Metric.snapshotUnsafe(context).length
    }
    assert.strictEqual(Metric.snapshotUnsafe(context).length, size)
    assert.notMatch(text(context), /KEY|203\.0\.113|example|code|detail|phase|Peer said|bad/)
    const others = linesOf(context, "multiserver_refused_connections_total").filter((line) => line.includes("_OTHER"))
    assert.include(others.join("\n"), `{multiserver_stack="_OTHER",error_type="_OTHER"} 4936`)
  })

  it("tell connections apart by their numbers, where events come from other processes", () => {
    const context = fresh()
    const tally = new Tally(context)
    for (const id of [1, 2, 3]) tally.event(connected(id, "net~shs"))
    assert.strictEqual(tally.totals.open, 3)
    for (const id of [1, 3]) tally.event(closed(id, "net~shs", { tag: "Truncated" }))
    assert.deepStrictEqual(tally.totals, { open: 1, accepted: 3, refused: 0, bytesRead: 140, bytesWritten: 60 })
    tally.event(closed(2, "net~shs"))
    assert.deepStrictEqual(linesOf(context, "multiserver_active"), [
      `multiserver_active_connections{multiserver_role="listen",multiserver_stack="net~shs",network_transport="tcp"} 0`
    ])
  })

  it("are never below 0 for a connection that was closed before it was told of", () => {
    const context = fresh()
    const tally = new Tally(context)
    tally.event(closed(1, "net~shs"))
    assert.deepStrictEqual(linesOf(context, "multiserver_active"), [])
    assert.lengthOf(linesOf(context, "multiserver_network_io"), 2)
  })
})

describe("Metrics.layer", () => {
  const stacks = Multiserver.layer(["memory~shs", "memory"]).pipe(Layer.provide(protocols()))

  it.effect("counts the bytes of a connection that is still open, every 5 seconds", () => {
    const context = fresh()
    const heard: Array<string> = []
    const own = Events.layer((event) => Effect.sync(() => void heard.push(event._tag)))
    const role = `multiserver_role="dial",multiserver_stack="memory~shs"`
    const written = () => linesOf(context, "multiserver_network_io").filter((line) => line.includes(`${role},n`))
    return Effect.gen(function* () {
      const [address] = yield* served("memory:m~shs", echo)
      yield* Effect.scoped(
        Effect.gen(function* () {
          const connection = yield* Multiserver.dial(address as Address.Address)
          yield* connection.write(pattern(1000))
          yield* TestClock.adjust("5 seconds")
          assert.include(written().join("\n"), `network_io_direction="transmit"} 1000`)
          yield* connection.write(pattern(500))
          assert.include(linesOf(context, "multiserver_active").join("\n"), `${role}} 1`)
        })
      )
      yield* until(() => heard.filter((tag) => tag === "Closed").length === 2)
      assert.include(written().join("\n"), `network_io_direction="transmit"} 1500`)
      assert.include(linesOf(context, "multiserver_active").join("\n"), `${role}} 0`)
      yield* Effect.flip(Multiserver.dial("memory:nobody"))
      assert.include(linesOf(context, "multiserver_dials").join("\n"), `{error_type="Refused"} 1`)
    }).pipe(
      Effect.provide(stacks.pipe(Layer.provide(Metrics.layer.pipe(Layer.provide(own))))),
      Effect.provideContext(context)
    )
  })

  it.live("keeps its labels, however many peers come, each with a key and a mistake of its own", () => {
    const context = fresh()
    return Effect.gen(function* () {
      const [address] = yield* served("memory:many~shs", echo)
      const round = Effect.forEach(
        Array.from({ length: 20 }, (_, i) => i),
        (i) =>
          Effect.ignore(
            Effect.scoped(
              Effect.flatMap(
                Multiserver.dial(["memory:nobody", i % 2 === 0 ? `memory:many` : (address as Address.Address)]),
                ({ write }) => write(pattern(64 + i))
              )
            )
          ),
        { discard: true }
      )
      yield* round
      const before = Metric.snapshotUnsafe(context).length
      yield* round
      assert.isAbove(before, 5)
      assert.strictEqual(Metric.snapshotUnsafe(context).length, before)
    }).pipe(
      Effect.provide(stacks.pipe(Layer.provide([Metrics.layer, Limits.layer({ exemptLoopback: true })]))),
      Effect.provideContext(context)
    )
  })
})
