/** HTTP servers whose upgrades are shared out by path: our own, or one that somebody else has and keeps. */
import * as http from "node:http"
import * as https from "node:https"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { AddressInUse, type BindReason, NotListenable } from "../ListenError.ts"
import { backlog } from "../sockets/backlog.ts"
import { reachOf } from "../sockets/ip.ts"
import { bindReason } from "../sockets/reasons.ts"
import { within } from "../Transport.ts"

export type Server = http.Server | https.Server

/** What is done with an upgrade request. */
export type OnUpgrade = (request: http.IncomingMessage, socket: Socket, head: Buffer) => void

// -----------------------------------------------------------------------------
// paths
// -----------------------------------------------------------------------------

/** The path that a request or an address means, without its query. */
export const pathOf = (path: string): string => {
  const url = `http://host${path}`
  return URL.canParse(url) ? new URL(url).pathname : path
}

/** Answers an upgrade request with no, and closes. */
export const refuse = (socket: Duplex, status: number): void => {
  socket.once("finish", () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${http.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    "latin1"
  )
}

/** What one path's upgrades are given to, and, where nobody else has a path, those of paths that nobody has. */
interface Route {
  readonly take: OnUpgrade
  readonly unknown: (request: http.IncomingMessage, socket: Socket) => void
}

/** The paths of one server, and what hears of its upgrades. */
class Routes {
  readonly paths = new Map<string, Route>()
  private readonly server: Server

  constructor(server: Server) {
    this.server = server
    server.on("upgrade", this.onUpgrade)
  }

  private readonly onUpgrade = (request: http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const route = this.paths.get(pathOf(request.url ?? "/"))
    if (route === undefined && this.server.listenerCount("upgrade") > 1) return
    // Nobody else listens any more, and an error that nobody hears would be thrown.
    socket.on("error", () => {})
    if (route === undefined) {
      const [first] = this.paths.values()
      first?.unknown(request, socket as Socket)
      refuse(socket, 404)
    } else {
      route.take(request, socket as Socket, head)
    }
  }

  off(): void {
    this.server.off("upgrade", this.onUpgrade)
  }
}

/** Where a server keeps its routes: several layers may share one server. */
const routesOf = Symbol("routes")

const known = (server: Server): Routes | undefined => {
  const routes: unknown = Reflect.get(server, routesOf)
  return routes instanceof Routes ? routes : undefined
}

const routesFor = (server: Server): Routes => {
  const routes = known(server) ?? new Routes(server)
  Reflect.set(server, routesOf, routes)
  return routes
}

/** Takes the upgrades of one path, as long as the scope. */
export const route = (server: Server, path: string, own: Route): Effect.Effect<void, AddressInUse, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const { paths } = routesFor(server)
        if (paths.has(path)) return Effect.fail(new AddressInUse())
        paths.set(path, own)
        return Effect.void
      }),
      () =>
        Effect.sync(() => {
          const routes = known(server)
          routes?.paths.delete(path)
          if (routes === undefined || routes.paths.size > 0) return
          routes.off()
          Reflect.deleteProperty(server, routesOf)
        })
    )
  )

// -----------------------------------------------------------------------------
// servers
// -----------------------------------------------------------------------------

export interface Options {
  /** Answers what is no upgrade. */
  readonly handler: http.RequestListener
  /** `undefined` for plain HTTP. */
  readonly secure: tls.SecureContextOptions | undefined
  /** `undefined` for no such deadline. */
  readonly upgradeMillis: number | undefined
}

/** Answers what is no upgrade, where a server has nothing else to say. */
export const upgradeRequired: http.RequestListener = (_request, response) => {
  response.writeHead(426, { Upgrade: "websocket", Connection: "Upgrade, close", "Content-Type": "text/plain" })
  response.end("Upgrade Required")
}

/** Answers whom policy denies. What else comes on its connection is not read. */
export const forbidden: http.RequestListener = (_request, response) => {
  response.writeHead(403, { Connection: "close" }).end()
}

/** Answers when a handler threw. What it had begun to say is cut off, and nothing else on its connection is read. */
export const broken: http.RequestListener = (request, response) => {
  if (response.headersSent) return void request.socket.destroy()
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.writeHead(500, { Connection: "close" }).end()
}

/** A plain request may take longer than its head. */
const requestMillis = 60_000

/**
 * A server of our own, not listening yet. With the scope it accepts no more, and what has not become a WebSocket by
 * then is ended.
 */
export const own = ({ handler, secure, upgradeMillis }: Options): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const options = {
        // To Node, 0 is no deadline. That of a request is one for its head too.
        headersTimeout: upgradeMillis ?? 0,
        requestTimeout: upgradeMillis === undefined ? 0 : Math.max(requestMillis, upgradeMillis),
        connectionsCheckingInterval: Math.min(5000, Math.ceil((upgradeMillis ?? requestMillis) / 2)),
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000
      }
      return secure === undefined
        ? http.createServer(options, handler)
        : https.createServer({ ...options, ...secure, handshakeTimeout: upgradeMillis ?? 0 }, handler)
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** Binds it, and gives the port. */
export const bind = (server: Server, host: string, port: number): Effect.Effect<number, BindReason> =>
  Effect.callback((resume) => {
    server.on("error", (error) => resume(Effect.fail(bindReason(error))))
    server.listen({ host, port, backlog }, () => resume(Effect.sync(() => (server.address() as AddressInfo).port)))
  })

/**
 * Whether somebody's server is what an address says: what is bound follows from the address, also when somebody else
 * has bound it. Gives the port.
 */
export const attached = (
  server: Server,
  secure: boolean,
  host: string,
  port: number
): Effect.Effect<number, NotListenable> => {
  const fail = (detail: string) => Effect.fail(new NotListenable({ detail }))
  if (secure !== server instanceof tls.Server) {
    return fail(secure ? "the server that it should share has no TLS" : "the server that it should share speaks TLS")
  }
  const address = server.address()
  if (address === null) return fail("the server that it should share is not listening")
  // A unix socket: who reaches it is another matter, and the address is what its proxy makes of it.
  if (typeof address === "string") return Effect.succeed(port)
  if (port !== 0 && port !== address.port) return fail(`the server that it should share is on port ${address.port}`)
  return within(reachOf(address.address), reachOf(host))
    ? Effect.succeed(address.port)
    : fail(`the server that it should share is bound to ${address.address}, which reaches further than ${host}`)
}
