/**
 * The endpoint for Prometheus: `GET /metrics`, and nothing else. It is a server of its own, so it takes no place of the
 * listener's connections. Whoever reaches it may be hostile: it has only so many sockets, and each one only so long.
 */
import type * as http from "node:http"
import type { Socket } from "node:net"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import { prometheusName } from "../Metrics.ts"
import { reachOf } from "../sockets/ip.ts"
import { nodeHttp } from "../ws/nodeHttp.ts"
import { refusal as misnamed, type Rules } from "../ws/origin.ts"
import { LocalError } from "./exit.ts"

export interface Place {
  /** As it was given, for messages. */
  readonly text: string
  readonly host: string
  readonly port: number
}

/** How many sockets it has at once. A Prometheus needs one. A further one takes the place of the oldest. */
const mostSockets = 16

const limits: http.ServerOptions = {
  maxHeaderSize: 8 * 1024,
  headersTimeout: 5000,
  requestTimeout: 5000,
  connectionsCheckingInterval: 1000,
  // Between two scrapes, the socket of a Prometheus is silent.
  keepAliveTimeout: 60_000
}

/** After so many milliseconds without a byte either way, a socket with a request under way is closed. */
const silentMillis = 10_000

/** How long an answer is used again, in milliseconds: whoever asks all the time costs little. */
const freshMillis = 100

/** How long a scrape that is under way may go on when the command ends, in milliseconds. */
const graceMillis = 1000

const plain = { "Content-Type": "text/plain; charset=utf-8", "X-Content-Type-Options": "nosniff" }

/** The status of a request that does not get the metrics; `undefined` for one that does. */
const refusal = ({ headers, method, url = "" }: http.IncomingMessage, isLocal: boolean): number | undefined => {
  const rules: Rules = { origins: "any", hosts: isLocal ? "loopback" : "any" }
  if (misnamed(rules, { origin: undefined, host: headers.host }) !== undefined) return 403
  if (url.split("?")[0] !== "/metrics") return 404
  return method === "GET" || method === "HEAD" ? undefined : 405
}

/** The metrics as text. `look` brings them up to date. */
const written = (context: Context.Context<never>, look: () => void): (() => string) => {
  let text = ""
  let until = Number.NEGATIVE_INFINITY
  return () => {
    const now = performance.now()
    if (now < until) return text
    look()
    until = now + freshMillis
    text = PrometheusMetrics.formatUnsafe(context, { metricNameMapper: prometheusName })
    return text
  }
}

const answer =
  (text: () => string, isLocal: () => boolean): http.RequestListener =>
  (request, response) => {
    const status = refusal(request, isLocal())
    // Otherwise Node would still read the body of the request after the answer.
    const hasBody = request.headers["content-length"] !== undefined || "transfer-encoding" in request.headers
    if (hasBody || status !== undefined) response.setHeader("Connection", "close")
    if (status === undefined) {
      const body = text()
      const type = { "Content-Type": "text/plain; version=0.0.4; charset=utf-8", "Cache-Control": "no-store" }
      response.writeHead(200, { ...plain, ...type, "Content-Length": Buffer.byteLength(body) }).end(body)
    } else {
      const allow = status === 405 ? { Allow: "GET, HEAD" } : {}
      response.writeHead(status, { ...plain, ...allow }).end(`${nodeHttp.STATUS_CODES[status]}\n`)
    }
  }

/** Gives a newcomer the place of the oldest socket when there are too many. */
const bounded = (server: http.Server): void => {
  const sockets = new Set<Socket>()
  server.setTimeout(silentMillis, (socket) => socket.destroy())
  server.on("connection", (socket: Socket) => {
    const [oldest] = sockets
    if (sockets.size >= mostSockets) oldest?.destroy()
    sockets.add(socket)
    socket.once("close", () => sockets.delete(socket))
  })
}

const advice: Readonly<Record<string, string>> = {
  EADDRINUSE: "another program listens there: give another port, or 0 for any that is free",
  EACCES: "this user may not listen there: give a port above 1023",
  EADDRNOTAVAIL: "this machine does not have that address: give one that it has, or only a port, which is on loopback",
  ENOTFOUND: "there is no such name: give an IP, or only a port, which is on loopback"
}

const cannotBind = ({ text }: Place, { code = "Unknown", message }: NodeJS.ErrnoException): LocalError =>
  new LocalError({ kind: code, message: `--metrics ${text}: ${advice[code] ?? message}` })

/** Stops accepting, lets the scrapes that are under way end, and then closes what is left. */
const stopped = (server: http.Server): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const late = setTimeout(() => server.closeAllConnections(), graceMillis)
    server.close(() => {
      clearTimeout(late)
      resume(Effect.void)
    })
    server.closeIdleConnections()
  })

/** Serves the metrics of a context until the scope closes. Succeeds with the URL when it is bound. */
export const serve = (
  place: Place,
  context: Context.Context<never>,
  look: () => void
): Effect.Effect<{ readonly url: string; readonly reach: ReturnType<typeof reachOf> }, LocalError, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<http.Server, LocalError>((resume) => {
      const isLocal = () => {
        const address = server.address()
        return typeof address === "object" && address !== null && reachOf(address.address) === "device"
      }
      const server = nodeHttp.createServer(limits, answer(written(context, look), isLocal))
      bounded(server)
      const failed = (error: Error) => resume(Effect.fail(cannotBind(place, error)))
      server.once("error", failed)
      server.listen({ host: place.host, port: place.port }, () => {
        server.off("error", failed)
        // Accepting can fail, for lack of file descriptors for example. The next scrape may succeed.
        server.on("error", () => {})
        resume(Effect.succeed(server))
      })
    }),
    stopped
  ).pipe(
    Effect.map((server) => {
      const address = server.address()
      const { address: host, port } =
        typeof address === "object" && address !== null ? address : { address: "", port: 0 }
      return { url: `http://${host.includes(":") ? `[${host}]` : host}:${port}/metrics`, reach: reachOf(host) }
    })
  )
