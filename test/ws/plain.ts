/** WebSockets without any of our code, and HTTP as a browser speaks it. */
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import type * as Scope from "effect/Scope"
import { type ClientOptions, WebSocket, WebSocketServer } from "ws"
import type * as Address from "../../src/Address.ts"

export const portOf = (address: Address.Address | undefined): number =>
  address?.transport._tag === "ws" || address?.transport._tag === "wss" ? address.transport.port : 0

/** An upgrade as it stands on the wire. */
export const upgrade = (path = "/"): string =>
  [
    `GET ${path} HTTP/1.1`,
    "Host: localhost",
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    "\r\n"
  ].join("\r\n")

/** What a plain WebSocket hears. */
export interface Plain {
  readonly ws: WebSocket
  /** The messages, in order. */
  readonly messages: Queue.Dequeue<Buffer>
  /** The code that it was closed with. */
  readonly closed: Effect.Effect<number>
}

const hear = (ws: WebSocket): Plain => {
  const messages = Effect.runSync(Queue.unbounded<Buffer>())
  const closed = new Promise<number>((resolve) => ws.once("close", resolve))
  ws.on("message", (data) => Buffer.isBuffer(data) && Queue.offerUnsafe(messages, data))
  ws.on("error", () => {})
  return { ws, messages, closed: Effect.promise(() => closed) }
}

/** A plain client, open, as long as the scope. */
export const connect = (url: string, options: ClientOptions = {}): Effect.Effect<Plain, Error, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => hear(new WebSocket(url, options))),
    ({ ws }) => Effect.sync(() => ws.terminate())
  ).pipe(
    Effect.tap(({ ws }) =>
      Effect.callback<void, Error>((resume) => {
        ws.once("open", () => resume(Effect.void))
        ws.once("error", (error) => resume(Effect.fail(error)))
      })
    )
  )

/** A plain server: its address, and who connects. */
export const serve = (options: { readonly autoPong?: boolean } = {}) =>
  Effect.gen(function* () {
    const clients = yield* Queue.unbounded<Plain>()
    const server = yield* Effect.acquireRelease(
      Effect.callback<WebSocketServer>((resume) => {
        const server: WebSocketServer = new WebSocketServer({ host: "127.0.0.1", port: 0, ...options }, () =>
          resume(Effect.succeed(server))
        )
        server.on("connection", (ws) => Queue.offerUnsafe(clients, hear(ws)))
      }),
      (server) =>
        Effect.sync(() => {
          for (const client of server.clients) client.terminate()
          server.close()
        })
    )
    return { address: `ws://127.0.0.1:${(server.address() as AddressInfo).port}`, clients }
  })

/** A plain HTTP server of somebody else's. */
export const httpServer = (handler: http.RequestListener, host = "127.0.0.1", port = 0) =>
  Effect.acquireRelease(
    Effect.callback<http.Server>((resume) => {
      const server = http.createServer(handler).listen(port, host, () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

export const httpPort = (server: http.Server): number => (server.address() as AddressInfo).port

/** The status of the answer to a request, by default one to upgrade; 101 is a WebSocket. */
export const status = (
  port: number,
  { headers = {}, host = "127.0.0.1", path = "/", upgrade = true }: StatusOptions = {}
): Effect.Effect<number, Error> =>
  Effect.callback((resume) => {
    const asked = upgrade
      ? {
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": "13",
          "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="
        }
      : {}
    const request = http.request({ agent: false, host, port, path, headers: { ...asked, ...headers } })
    const answered = (response: http.IncomingMessage) => {
      resume(Effect.succeed(response.statusCode ?? 0))
      response.socket.destroy()
    }
    request.on("response", answered).on("upgrade", answered)
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end()
  })

interface StatusOptions {
  readonly headers?: Record<string, string>
  readonly host?: string
  readonly path?: string
  readonly upgrade?: boolean
}
