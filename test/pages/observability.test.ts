/** docs/observability.md: what it shows, and what arrives where it is sent. */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as os from "node:os"
import * as path from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as HttpServer from "effect/http/HttpServer"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Metric from "effect/Metric"
import type * as NetAddress from "effect/net/NetAddress"
import * as Schema from "effect/Schema"
import * as Tracer from "effect/Tracer"
import * as Prometheus from "../../examples/metrics.ts"
import { live } from "../../examples/otlp.ts"
import * as Rpc from "../../examples/rpc.ts"
import type { Address } from "../../src/Address.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { startInside } from "../cli/inside.ts"
import { hasPlatform } from "../support/nodes.ts"
import { echo, multiserver, pattern, readAll, served } from "../support/servers.ts"
import { block } from "./page.ts"

const page = "docs/observability.md"

const Value = Schema.Struct({ stringValue: Schema.optionalKey(Schema.String) })
const Attributes = Schema.Array(Schema.Struct({ key: Schema.String, value: Value }))
const Point = Schema.Struct({
  attributes: Attributes,
  asDouble: Schema.optionalKey(Schema.Number),
  count: Schema.optionalKey(Schema.Number)
})
const Points = Schema.Struct({ dataPoints: Schema.Array(Point) })
const Exported = Schema.fromJsonString(
  Schema.Struct({
    resourceMetrics: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          scopeMetrics: Schema.Array(
            Schema.Struct({
              metrics: Schema.Array(
                Schema.Struct({
                  name: Schema.String,
                  unit: Schema.String,
                  sum: Schema.optionalKey(Points),
                  gauge: Schema.optionalKey(Points),
                  histogram: Schema.optionalKey(Points)
                })
              )
            })
          )
        })
      )
    ),
    resourceSpans: Schema.optionalKey(
      Schema.Array(
        Schema.Struct({
          scopeSpans: Schema.Array(
            Schema.Struct({
              spans: Schema.Array(
                Schema.Struct({
                  name: Schema.String,
                  traceId: Schema.String,
                  spanId: Schema.String,
                  parentSpanId: Schema.optionalKey(Schema.String),
                  attributes: Attributes,
                  status: Schema.Struct({ code: Schema.Number })
                })
              )
            })
          )
        })
      )
    )
  })
)
const decode = Schema.decodeUnknownSync(Exported)

const recordOf = (attributes: typeof Attributes.Type) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, value.stringValue]))

/** A collector that takes everything, and what it was sent. */
const collector = Effect.acquireRelease(
  Effect.callback<{ readonly server: http.Server; readonly bodies: Array<string>; readonly url: string }>((resume) => {
    const bodies: Array<string> = []
    const server = http.createServer((request, response) => {
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        bodies.push(String(Buffer.concat(chunks)))
        response.writeHead(200, { "Content-Type": "application/json" }).end("{}")
      })
    })
    server.listen(0, "127.0.0.1", () => {
      const address = server.address()
      const port = address !== null && typeof address === "object" ? address.port : 0
      resume(Effect.succeed({ server, bodies, url: `http://127.0.0.1:${port}` }))
    })
  }),
  ({ server }) =>
    Effect.sync(() => {
      server.close()
      server.closeAllConnections()
    })
)

/** A dial that succeeds, and one whose peer is not the one of the address. */
const conversation = Effect.gen(function* () {
  const [address] = yield* served("memory:seen~shs", echo)
  yield* Effect.scoped(
    Effect.gen(function* () {
      const connection = yield* Multiserver.dial(address as Address)
      yield* Effect.andThen(connection.write(pattern(1000)), connection.end)
      yield* readAll(connection)
    })
  )
  const other = "memory:seen~shs:ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="
  yield* Effect.ignore(Effect.scoped(Multiserver.dial(other)))
})

/** A program that nobody else shares layers and metrics with. */
const alone = <A, E>(effect: Effect.Effect<A, E>) =>
  effect.pipe(Effect.provideService(Metric.MetricRegistry, new Map()), Effect.provide(Logger.layer([])))

describe(page, () => {
  it.live("OTLP: the metrics and the spans arrive, with the names, units and attributes of the page", () =>
    Effect.gen(function* () {
      const { bodies, url } = yield* collector
      yield* conversation.pipe(
        Effect.scoped,
        Effect.provide(live(url).pipe(Layer.provide(Identity.layerEphemeral), Layer.provide(Sodium.layer))),
        alone
      )
      const exported = bodies.map((body) => decode(body))
      const metrics = exported.flatMap(({ resourceMetrics = [] }) =>
        resourceMetrics.flatMap(({ scopeMetrics }) => scopeMetrics.flatMap((scope) => scope.metrics))
      )
      const last = new Map(metrics.map((metric) => [metric.name, metric]))
      const read = (name: string) =>
        (last.get(name)?.sum ?? last.get(name)?.gauge ?? last.get(name)?.histogram)?.dataPoints.map((point) => ({
          ...recordOf(point.attributes),
          value: point.asDouble ?? point.count
        }))
      const common = { "multiserver.stack": "memory~shs" }
      assert.sameDeepMembers(read("multiserver.network.io") ?? [], [
        ...["dial", "listen"].flatMap((role) =>
          ["receive", "transmit"].map((direction) => ({
            ...common,
            "multiserver.role": role,
            "network.io.direction": direction,
            unit: "By",
            value: 1000
          }))
        )
      ])
      assert.sameDeepMembers(
        read("multiserver.handshake.duration") ?? [],
        [
          { "multiserver.role": "dial" },
          { "multiserver.role": "listen" },
          { "multiserver.role": "dial", "error.type": "Rejected" },
          { "multiserver.role": "listen", "error.type": "PeerMisbehaved" }
        ].map((own) => ({ ...common, ...own, unit: "s", value: 1 }))
      )
      assert.deepStrictEqual(Object.fromEntries([...last.values()].map(({ name, unit }) => [name, unit])), {
        "multiserver.dials": "{dial}",
        "multiserver.dial.attempt.duration": "s",
        "multiserver.handshake.duration": "s",
        "multiserver.connection.duration": "s",
        "multiserver.active_connections": "{connection}",
        "multiserver.network.io": "By"
      })

      const spans = exported.flatMap(({ resourceSpans = [] }) =>
        resourceSpans.flatMap(({ scopeSpans }) => scopeSpans.flatMap((scope) => scope.spans))
      )
      const parent = ({ parentSpanId }: (typeof spans)[number]) =>
        spans.find(({ spanId }) => spanId === parentSpanId)?.name
      assert.sameDeepMembers(
        spans.map((span) => [span.name, parent(span), span.status.code === 2]),
        [
          ["Multiserver.listen", undefined, false],
          ["Multiserver.dial", undefined, false],
          ["Multiserver.attempt", "Multiserver.dial", false],
          ["Multiserver.handshake", "Multiserver.attempt", false],
          ["Multiserver.serve", undefined, false],
          ["Multiserver.handshake", "Multiserver.serve", false],
          ["Multiserver.dial", undefined, true],
          ["Multiserver.attempt", "Multiserver.dial", true],
          ["Multiserver.handshake", "Multiserver.attempt", true],
          ["Multiserver.serve", undefined, true],
          ["Multiserver.handshake", "Multiserver.serve", true]
        ]
      )
      const failed = spans.find(({ name, status }) => name === "Multiserver.serve" && status.code === 2)
      assert.deepInclude(recordOf(failed?.attributes ?? []), { ...common, "error.type": "PeerMisbehaved" })
      assert.isTrue(bodies.every((body) => body.includes("greeter")))
    })
  )

  it.live.skipIf(!hasPlatform)("Prometheus: a program shows its metrics under the names of the page", () =>
    Effect.gen(function* () {
      const { address } = Context.get(yield* Layer.build(Prometheus.metrics(0)), HttpServer.HttpServer)
      yield* conversation
      const { port } = address as NetAddress.InetAddress
      const response = yield* Effect.promise(() => fetch(`http://127.0.0.1:${port}/metrics`))
      const text = yield* Effect.promise(() => response.text())
      assert.include(
        text,
        `multiserver_handshake_duration_seconds_count{multiserver_role="dial",multiserver_stack="memory~shs"} 1`
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(Prometheus.Live.pipe(Layer.provide(Identity.layerEphemeral), Layer.provide(Sodium.layer))),
      alone
    )
  )

  it.live("RPC: the span of a handler belongs to the trace of its caller", () => {
    const spans: Array<Tracer.Span> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return Effect.gen(function* () {
      const addresses = yield* Rpc.serve("memory:traced~shs")
      const { WhoAmI } = yield* Rpc.connect(addresses)
      yield* Effect.withSpan(WhoAmI(), "caller")
      const [caller, call, handler] = [
        spans.find(({ name }) => name === "caller"),
        spans.find(({ kind, name }) => name === "WhoAmI" && kind === "client"),
        spans.find(({ kind, name }) => name === "WhoAmI" && kind === "server")
      ]
      const parentOf = (span: Tracer.Span | undefined) =>
        span?.parent._tag === "Some" ? span.parent.value.spanId : undefined
      assert.isTrue(caller !== undefined && call !== undefined)
      assert.strictEqual(parentOf(call), caller?.spanId)
      assert.strictEqual(parentOf(handler), call?.spanId)
      assert.strictEqual(handler?.traceId, caller?.traceId)
    }).pipe(Effect.scoped, Effect.provide(multiserver()), Effect.provideService(Tracer.Tracer, tracer))
  })

  it.live("the command shows its metrics where the page says", () =>
    Effect.gen(function* () {
      const said = block(page, "metrics", {
        "net:0.0.0.0:8008": "net:127.0.0.1:0",
        "--key-file secret ": "",
        "9464": "0"
      })
      const [, ...args] = said.trim().split(" ")
      const listener = yield* startInside(
        ["--json", ...args].toSorted((a, b) => Number(b === "listen") - Number(a === "listen"))
      )
      const { url = "" } = yield* listener.event("metrics")
      assert.strictEqual((yield* Effect.promise(() => fetch(url))).status, 200)
    })
  )

  it("Prometheus takes its part of prometheus.yml", () => {
    const config = block(page, "prometheus.yml", {
      "/etc/prometheus/alerts.yml": new URL("../../ops/alerts.yml", import.meta.url).pathname
    })
    assert.include(config, "job_name: multiserver")
    const place = fs.mkdtempSync(path.join(os.tmpdir(), "promtool-"))
    fs.writeFileSync(path.join(place, "prometheus.yml"), config)
    const { error, status, stderr, stdout } = spawnSync("promtool", [
      "check",
      "config",
      path.join(place, "prometheus.yml")
    ])
    // Without a promtool, test/ops says that it was not tested.
    if (error === undefined) assert.strictEqual(status, 0, `${stdout}${stderr}`)
    fs.rmSync(place, { recursive: true })
  })
})
