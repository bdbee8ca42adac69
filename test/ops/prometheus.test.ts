/** A real Prometheus scrapes the command, and answers every query of `ops/`. */
import { spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as net from "node:net"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { inside, startInside } from "../cli/inside.ts"

const ops = (name: string): string => fileURLToPath(new URL(`../../ops/${name}`, import.meta.url))

const has = (tool: string): boolean => spawnSync(tool, ["--version"]).error === undefined
const hasPrometheus = has("prometheus") && has("promtool")
if (!hasPrometheus) {
  console.error(
    "NOT TESTED: there is no prometheus on this machine (scripts/install-prometheus.sh), so no Prometheus has read the " +
      "metrics, ops/grafana.json and ops/alerts.yml"
  )
}

const promtool = (args: ReadonlyArray<string>, input = "") => {
  const { status, stderr, stdout } = spawnSync("promtool", args, { input, encoding: "utf8" })
  return { status, said: `${stdout}${stderr}` }
}

const Panel = Schema.Struct({
  title: Schema.String,
  targets: Schema.optionalKey(Schema.Array(Schema.Struct({ expr: Schema.String })))
})
const Variable = Schema.Struct({ name: Schema.String, definition: Schema.optionalKey(Schema.String) })
const Dashboard = Schema.fromJsonString(
  Schema.Struct({
    panels: Schema.Array(Panel),
    templating: Schema.Struct({ list: Schema.Array(Variable) })
  })
)
const dashboard = Schema.decodeUnknownSync(Dashboard)(fs.readFileSync(ops("grafana.json"), "utf8"))

/** The expressions of the alerts, without what they are compared with, which is only so on a bad day. */
const conditions = [...fs.readFileSync(ops("alerts.yml"), "utf8").matchAll(/expr: (?:>-\n)?([\s\S]*?)\n {8}\w/g)].map(
  ([, expr = ""]) => expr.replace(/\s+/g, " ").replace(/ [<>] [\d.]+$/, "")
)

/** As Grafana fills them in: all jobs and instances, and a range of some scrapes. */
const filled = (text: string): string => text.replaceAll("$__rate_interval", "1m").replaceAll(/\$(job|instance)/g, ".+")

/** Every query of the dashboard and of the alerts. */
const queries = [
  ...dashboard.panels.flatMap(({ targets = [], title }) =>
    targets.map(({ expr }) => ({ of: title, expr: filled(expr) }))
  ),
  ...dashboard.templating.list.flatMap(({ definition, name }) => {
    const [, series] = /^label_values\((.*), \w+\)$/.exec(definition ?? "") ?? []
    return series === undefined ? [] : [{ of: `the variable ${name}`, expr: filled(series) }]
  }),
  ...conditions.map((expr) => ({ of: "an alert", expr }))
]

const Answer = Schema.Struct({
  data: Schema.Struct({
    result: Schema.Array(Schema.Struct({ value: Schema.Tuple([Schema.Number, Schema.String]) }))
  })
})
const Rules = Schema.Struct({
  data: Schema.Struct({
    groups: Schema.Array(
      Schema.Struct({
        rules: Schema.Array(
          Schema.Struct({ name: Schema.String, health: Schema.String, evaluationTime: Schema.Number })
        )
      })
    )
  })
})

const fetched = <A>(schema: Schema.Codec<A, unknown>, url: string) =>
  Effect.promise(() => fetch(url).then((response) => response.json())).pipe(
    Effect.flatMap(Schema.decodeUnknownEffect(schema))
  )

/** Asks, hears nothing of interest, and hangs up. */
const say = (port: number, text: string) =>
  Effect.callback<void>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("error", () => {}).on("close", () => resume(Effect.void))
    socket.resume().end(Buffer.from(text, "latin1"))
  })

const upgrade = [
  "GET / HTTP/1.1",
  "Host: localhost",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==",
  "\r\n"
].join("\r\n")

/** A port that is free now. */
const freePort = Effect.callback<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const address = server.address()
    server.close(() => resume(Effect.succeed(address !== null && typeof address === "object" ? address.port : 0)))
  })
})

/** A Prometheus of this test that scrapes these, and where it is asked. It is gone with the scope. */
const prometheus = (targets: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const folder = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "prometheus-"))),
      (made) => Effect.sync(() => fs.rmSync(made, { recursive: true }))
    )
    const config = path.join(folder, "prometheus.yml")
    const scrape = { job_name: "multiserver", static_configs: [{ targets }] }
    fs.writeFileSync(
      config,
      // JSON is YAML.
      JSON.stringify({
        global: { scrape_interval: "250ms", scrape_timeout: "250ms", evaluation_interval: "500ms" },
        rule_files: [ops("alerts.yml")],
        scrape_configs: [scrape]
      })
    )
    let said = ""
    yield* Effect.acquireRelease(
      Effect.sync(() => {
        const child = spawn("prometheus", [
          `--config.file=${config}`,
          `--storage.tsdb.path=${path.join(folder, "data")}`,
          `--web.listen-address=127.0.0.1:${port}`,
          "--log.level=error"
        ])
        child.stderr.on("data", (data) => {
          said += data
        })
        return child
      }),
      (child) =>
        Effect.callback<void>((resume) => {
          child.once("close", () => resume(Effect.void))
          child.kill("SIGKILL")
        })
    )
    const url = `http://127.0.0.1:${port}`
    const ready = Effect.promise(() =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false
      )
    )
    yield* Effect.repeat(Effect.delay(ready, "50 millis"), { until: (isReady) => isReady })
    return { url, said: () => said }
  })

describe("ops/", () => {
  it("has an expression for each alert, and asks only for metrics that there are", () => {
    assert.lengthOf(conditions, 8)
    assert.isAbove(queries.length, 25)
    const names = fs.readFileSync(new URL("../../docs/observability.md", import.meta.url), "utf8")
    for (const { expr } of queries) {
      for (const [name] of expr.matchAll(/multiserver_\w+(?=[{[])/g)) {
        assert.include(names, name.replace(/_(bucket|count|sum)$/, ""), expr)
      }
    }
  })

  it.skipIf(!hasPrometheus)("alerts.yml is read by promtool, and each alert fires when it should", () => {
    const checked = promtool(["check", "rules", "--lint=all", "--lint-fatal", ops("alerts.yml")])
    assert.strictEqual(checked.status, 0, checked.said)
    const tested = promtool(["test", "rules", ops("alerts.test.yml")])
    assert.strictEqual(tested.status, 0, tested.said)
  })

  it.live.skipIf(!hasPrometheus)("a Prometheus has data for every query of the dashboard and of the alerts", () =>
    Effect.gen(function* () {
      const peer = yield* startInside(["listen", "--json", "--echo", "net:127.0.0.1:0~shs"])
      const served = yield* peer.address
      const key = served.slice(served.indexOf("~"))
      const bridge = yield* startInside(
        [
          ...["bridge", "--json", "--metrics", "0", "net:127.0.0.1:0~shs;ws://127.0.0.1:0~shs;ws://127.0.0.1:0"],
          // The first refuses, so each dial falls back to the second.
          `net:127.0.0.1:1${key};${served}`
        ],
        { env: { MULTISERVER_PENDING_HANDSHAKES: "2" } }
      )
      const [byNet = "", byWs = "", bare = ""] = (yield* bridge.event("listening")).addresses ?? []
      const [netPort = 0, wsPort = 0] = [byNet, bare].map((address) => Number(/127\.0\.0\.1:(\d+)/.exec(address)?.[1]))
      // A peer that is looked up at a tracker which isn't there.
      const lost = yield* startInside(
        [
          ...["bridge", "--json", "--metrics", "0", "net:127.0.0.1:0", `peer:${key.slice("~shs:".length)}`],
          ...["--tracker", `net:127.0.0.1:1${key}`]
        ],
        { env: { MULTISERVER_SOURCE_RATE: "1", MULTISERVER_EXEMPT_LOOPBACK: "false" } }
      )
      const nowhere = yield* lost.address
      const urls = yield* Effect.forEach([bridge, lost], (each) =>
        Effect.map(each.event("metrics"), ({ url = "" }) => url)
      )

      const traffic = Effect.all(
        [
          inside(["connect", byNet], { input: "hello" }),
          inside(["connect", byWs], { input: "hello" }),
          Effect.all(
            [1, 2, 3].map(() => inside(["connect", nowhere])),
            { concurrency: "unbounded" }
          ),
          say(netPort, "x".repeat(100)),
          say(wsPort, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
          // After the upgrade, a frame of a kind that there is not.
          say(wsPort, `${upgrade}\x83\x80\x00\x00\x00\x00`),
          // Three who say nothing, and two have room.
          Effect.scoped(
            Effect.forEach([1, 2, 3], () =>
              Effect.acquireRelease(
                Effect.callback<net.Socket>((resume) => {
                  const socket = net.connect(netPort, "127.0.0.1")
                  const done = () => resume(Effect.succeed(socket))
                  // One that makes room for another is reset, maybe before it knows that it is connected.
                  socket.once("connect", done).on("error", done).resume()
                }),
                (socket) => Effect.sync(() => void socket.destroy())
              )
            )
          )
        ],
        { discard: true }
      )
      yield* traffic

      const text = yield* Effect.promise(() => fetch(urls[0] ?? "").then((response) => response.text()))
      const checked = promtool(["check", "metrics"], text)
      assert.deepStrictEqual(checked, { status: 0, said: "" })

      const { said, url } = yield* prometheus(urls.map((each) => new URL(each).host))
      const unanswered = ({ expr }: { readonly expr: string }) =>
        Effect.map(fetched(Answer, `${url}/api/v1/query?query=${encodeURIComponent(expr)}`), ({ data }) =>
          data.result.length > 0 && data.result.some(({ value: [, value] }) => Number.isFinite(Number(value)))
            ? []
            : [expr]
        )
      // A rate needs a change between two scrapes.
      let open = queries
      while (open.length > 0) {
        yield* Effect.delay(traffic, "1 second")
        const still = (yield* Effect.forEach(open, unanswered)).flat()
        open = open.filter(({ expr }) => still.includes(expr))
      }
      const evaluated = yield* Effect.repeat(fetched(Rules, `${url}/api/v1/rules`), {
        until: ({ data }) => data.groups.flatMap(({ rules }) => rules).every(({ health }) => health !== "unknown")
      })
      assert.deepStrictEqual(
        evaluated.data.groups.flatMap(({ rules }) => rules).map(({ health }) => health),
        Array.from({ length: 8 }, () => "ok")
      )
      assert.strictEqual(said(), "")
    })
  )
})
