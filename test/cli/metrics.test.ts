/** `--metrics`, and the live status: what they show, and what whoever reaches the endpoint can't do. */
import * as http from "node:http"
import * as net from "node:net"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Status } from "../../src/cli/status.ts"
import { until } from "../support/servers.ts"
import { inside, listenInside, startInside } from "./inside.ts"

interface Answer {
  readonly status: number | undefined
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
}

const ask = (url: string, options: http.RequestOptions = {}, body = ""): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const request = http.request(url, { agent: false, ...options }, (response) => {
      const chunks: Array<Buffer> = []
      response.on("data", (chunk: Buffer) => chunks.push(chunk))
      response.on("end", () => {
        const { headers, statusCode: status } = response
        resume(Effect.succeed({ status, headers, body: String(Buffer.concat(chunks)) }))
      })
    })
    request.on("error", (error) => resume(Effect.die(error)))
    request.end(body)
  })

/** Scrapes until the metrics have this line. */
const scraped = (url: string, line: RegExp): Effect.Effect<Answer> =>
  Effect.repeat(ask(url), { until: ({ body }) => line.test(body) })

const port = (url: string): number => Number(new URL(url).port)

/** A socket that is there, and what became of it. */
const visit = (to: number, say: string) => {
  const socket = net.connect(to, "127.0.0.1")
  const visitor = { socket, heard: "", isClosed: false }
  socket.on("data", (data) => {
    visitor.heard += data
  })
  socket
    .on("error", () => {})
    .on("close", () => {
      visitor.isClosed = true
    })
  if (say !== "") socket.write(say)
  return visitor
}

describe("--metrics", () => {
  it.live("shows what happens while it happens, to GET and HEAD of /metrics, and to nobody else", () =>
    Effect.gen(function* () {
      const { address, listener } = yield* listenInside("net:127.0.0.1:0~shs", "--echo", "--metrics", "0")
      const { url = "" } = yield* listener.event("metrics")
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
      assert.strictEqual(listener.events()[0]?.event, "metrics")

      // Still open.
      const client = yield* startInside(["connect", "--json", address])
      yield* client.write("0123456789")
      yield* client.received(10)
      const role = String.raw`\{multiserver_role="listen",multiserver_stack="net~shs",network_transport="tcp"`
      const bytes = String.raw`,network_io_direction="receive"\} 10$`
      const { headers } = yield* scraped(url, new RegExp(`^multiserver_network_io_bytes_total${role}${bytes}`, "m"))
      assert.strictEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      yield* scraped(url, new RegExp(`^multiserver_active_connections${role}\\} 1$`, "m"))
      yield* client.end()
      assert.strictEqual((yield* client.exit).code, 0)
      const { body } = yield* scraped(url, new RegExp(`^multiserver_active_connections${role}\\} 0$`, "m"))
      // Nothing of the process but this, and of a peer neither its key nor where it is.
      assert.deepStrictEqual(
        body.split("\n").filter((line) => line !== "" && !/^(# (HELP|TYPE) )?multiserver_/.test(line)),
        []
      )
      assert.notMatch(body, /127\.0\.0\.1|[A-Za-z0-9+/]{43}=/)

      const head = yield* ask(url, { method: "HEAD" })
      assert.deepStrictEqual([head.status, head.body], [200, ""])
      const statuses = yield* Effect.forEach(
        [
          ask(`${url}?x=1`),
          ask(url.replace("/metrics", "/")),
          ask(`${url}/x`),
          ask(url, { method: "POST" }, "x"),
          ask(url, { method: "DELETE" }),
          // A page whose own name resolves to loopback.
          ask(url, { headers: { host: `evil.example:${port(url)}` } }),
          ask(url, { headers: { host: `localhost:${port(url)}` } }),
          ask(url, { headers: { long: "x".repeat(10_000) } })
        ],
        Effect.map(({ status }) => status)
      )
      assert.deepStrictEqual(statuses, [200, 404, 404, 405, 405, 403, 200, 431])

      // More sockets than it has, which say nothing, or half a request: the newest are the ones that stay.
      const idle = Array.from({ length: 40 }, (_, i) =>
        visit(port(url), i % 2 === 0 ? "" : "GET /metrics HTTP/1.1\r\n")
      )
      yield* until(() => idle.filter(({ isClosed }) => isClosed).length >= 24)
      assert.strictEqual((yield* ask(url)).status, 200)
      // One that asks without an end, and reads nothing, holds up nobody.
      const greedy = net
        .connect(port(url), "127.0.0.1")
        .pause()
        .on("error", () => {})
      greedy.write("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(5000))
      assert.strictEqual((yield* ask(url)).status, 200)
      assert.strictEqual((yield* inside(["probe", address])).code, 0)

      yield* listener.interrupt
      yield* until(() => idle.every(({ isClosed }) => isClosed))
      const gone = visit(port(url), "")
      yield* until(() => gone.isClosed)
      assert.strictEqual(gone.heard, "")
    })
  )

  it.live("says what to do about a place that it can't have, and that others can read what it shows", () =>
    Effect.gen(function* () {
      const listen = (place: string) =>
        inside(["listen", "--echo", "--json", "--metrics", place, "net:127.0.0.1:0~shs"])
      for (const bad of ["x", "127.0.0.1", "70000", "-1", "1.2.3.4:5~shs", "h:1;h:2", "http://127.0.0.1:1"]) {
        const { code, stderr } = yield* listen(bad)
        assert.strictEqual(code, 2, bad)
        assert.include(stderr, "--metrics", bad)
      }
      const other = net.createServer()
      yield* Effect.callback<void>((resume) => void other.listen(0, "127.0.0.1", () => resume(Effect.void)))
      const taken = other.address()
      const busy = yield* listen(`127.0.0.1:${taken !== null && typeof taken === "object" ? taken.port : 0}`)
      other.close()
      assert.strictEqual(busy.code, 1)
      assert.include(busy.stderr, "another program listens there: give another port")
      assert.include((yield* listen("203.0.113.1:0")).stderr, "this machine does not have that address")

      const open = yield* startInside([
        "bridge",
        "--json",
        "net:127.0.0.1:0",
        "net:127.0.0.1:1",
        "--metrics",
        "0.0.0.0:0"
      ])
      assert.include((yield* open.event("warning")).message, "it asks for no password")
      const { url = "" } = yield* open.event("metrics")
      const named = ask(url.replace("0.0.0.0", "127.0.0.1"), { headers: { host: "metrics.example" } })
      assert.strictEqual((yield* named).status, 200)
    })
  )
})

/** Takes the cursor of a terminal back to the start of an empty line, as a pattern. */
const clear = "\r\u001b\\[2K"

const none = { open: 0, accepted: 0, refused: 0, bytesRead: 0, bytesWritten: 0 }

describe("the live status", () => {
  it("has the rates of the last two seconds, and leaves out what has no room", () => {
    const status = new Status()
    assert.strictEqual(status.line(none, 1000, 100), "0 connections, 0 handshakes/s, 0 refused/s, 0 B/s in, 0 B/s out")
    status.line({ ...none, open: 1, accepted: 100, refused: 100 }, 2000, 100)
    const totals = { open: 12, accepted: 105, refused: 140, bytesRead: 3_000_000, bytesWritten: 4096 }
    const lines = [120, 76, 60, 40, 20, 8].map((columns) => {
      const again = new Status()
      again.line(none, 1000, columns)
      again.line({ ...none, open: 1, accepted: 100, refused: 100 }, 3500, columns)
      return again.line(totals, 5500, columns)
    })
    assert.deepStrictEqual(lines, [
      "12 connections, 2.5 handshakes/s, 20 refused/s, 1.4 MiB/s in, 2.0 KiB/s out",
      "12 connections, 2.5 handshakes/s, 20 refused/s, 1.4 MiB/s in, 2.0 KiB/s out",
      "12 connections, 2.5 handshakes/s, 20 refused/s, 1.4 MiB/s",
      "12 open, 1.4 MiB/s",
      "12 open, 1.4 MiB/s",
      "12 open,"
    ])
  })

  it.live("is shown on a terminal where many are served, and nowhere else", () =>
    Effect.gen(function* () {
      const terminal = { stderr: true, stdout: true }
      const args = ["net:127.0.0.1:0~shs", "--echo"]
      const listener = yield* startInside(["listen", ...args], { terminal })
      const said = yield* listener.saying(/0 connections, 0 handshakes\/s, 0 refused\/s, 0 B\/s in, 0 B\/s out/)
      const address = /listening on (\S+)/.exec(said)?.[1] ?? ""
      const client = yield* startInside(["connect", "--json", address])
      yield* client.event("connected")
      yield* listener.saying(new RegExp(`${clear}1 connection, `))
      // Another line takes the place of the status, and nothing of the status is left at its end.
      assert.match(yield* listener.saying(/connected with/), new RegExp(`${clear}connected with `))
      yield* client.interrupt

      const others = yield* Effect.forEach(
        [
          { args: [...args, "--json"], terminal },
          { args: [...args, "--quiet"], terminal },
          { args, terminal: { stderr: false, stdout: true } },
          { args: ["net:127.0.0.1:0~shs", "--recv-only"], terminal }
        ],
        ({ args, terminal }) => startInside(["listen", ...args], { terminal })
      )
      // As long as the first one shows the next three of its own.
      const shown = () => listener.text.split("handshakes/s").length
      const before = shown()
      yield* until(() => shown() >= before + 3)
      for (const each of others) assert.notInclude(each.text, "handshakes/s")
      yield* listener.interrupt
      assert.match(listener.text, new RegExp(`${clear}$`))
    })
  )
})
