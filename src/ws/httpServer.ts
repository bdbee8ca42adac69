/** HTTP servers whose upgrade requests are shared out by path: our own, and servers of the application. */
import type * as http from "node:http"
import * as https from "node:https"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import * as tls from "node:tls"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { AddressInUse, type BindReason, NotListenable } from "../ListenError.ts"
import type { Inherited } from "../sockets/inherited.ts"
import { reachOf } from "../sockets/ip.ts"
import { bindReason } from "../sockets/reasons.ts"
import { within } from "../Transport.ts"
import { nodeHttp } from "./nodeHttp.ts"

export type Server = http.Server | https.Server

/** Handles an upgrade request. */
export type OnUpgrade = (request: http.IncomingMessage, socket: Socket, head: Buffer) => void

// -----------------------------------------------------------------------------
// paths
// -----------------------------------------------------------------------------

/** The path of a request or an address in its normal form, without the query. */
export const pathOf = (path: string): string => {
  const url = `http://host${path}`
  return URL.canParse(url) ? new URL(url).pathname : path
}

/** Refuses an upgrade request with this status, and closes the socket. */
export const refuse = (socket: Duplex, status: number): void => {
  socket.once("finish", () => socket.destroy())
  socket.end(
    `HTTP/1.1 ${status} ${nodeHttp.STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
    "latin1"
  )
}

/**
 * `take` gets the upgrade requests of one path. `unknown` is told of requests for paths without a route, when no other
 * code listens for upgrades of the server.
 */
interface Route {
  readonly take: OnUpgrade
  /** Whether no other listener gets the upgrade requests of its path. */
  readonly exclusive: boolean
  readonly unknown: (request: http.IncomingMessage, socket: Socket) => void
}

/** The routes of one server, and the listener for its upgrade requests. */
class Routes {
  readonly paths = new Map<string, Route>()
  private readonly server: Server
  private intercepts = false

  constructor(server: Server) {
    this.server = server
    server.on("upgrade", this.onUpgrade)
  }

  private routeOf({ url = "/" }: http.IncomingMessage): Route | undefined {
    // Mostly the path is in its normal form already.
    return this.paths.get(url) ?? this.paths.get(pathOf(url))
  }

  private readonly onUpgrade = (request: http.IncomingMessage, socket: Duplex, head: Buffer): void => {
    const route = this.routeOf(request)
    if (route === undefined && this.server.listenerCount("upgrade") > 1) return
    // Node has removed its own listeners, and an `error` event without a listener would be thrown.
    socket.on("error", () => {})
    if (route === undefined) {
      const [first] = this.paths.values()
      first?.unknown(request, socket as Socket)
      refuse(socket, 404)
    } else {
      route.take(request, socket as Socket, head)
    }
  }

  private restore = (): void => {}

  /**
   * From now on, takes the requests of exclusive routes before the server emits them: an emitter has no other way to
   * keep an event from its other listeners.
   */
  intercept(): void {
    if (this.intercepts) return
    this.intercepts = true
    const { server } = this
    const before = Object.getOwnPropertyDescriptor(server, "emit")
    const emit: unknown = Reflect.get(server, "emit")
    if (typeof emit !== "function") return
    const intercepting = (event: string | symbol, ...args: ReadonlyArray<unknown>): boolean => {
      if (event === "upgrade") {
        const [request, socket, head] = args as Parameters<OnUpgrade>
        if (this.routeOf(request)?.exclusive === true) {
          this.onUpgrade(request, socket, head)
          return true
        }
      }
      return Reflect.apply(emit, server, [event, ...args])
    }
    Reflect.set(server, "emit", intercepting)
    this.restore = () => {
      // If other code has wrapped it since, it stays, and passes on everything.
      if (Reflect.get(server, "emit") !== intercepting) return
      if (before === undefined) Reflect.deleteProperty(server, "emit")
      else Object.defineProperty(server, "emit", before)
    }
  }

  off(): void {
    this.server.off("upgrade", this.onUpgrade)
    this.restore()
  }
}

/** The property in which a server keeps its routes, because several layers may share one server. */
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

/** Handles the upgrade requests of one path until the scope closes. Fails when the path is taken. */
export const route = (server: Server, path: string, own: Route): Effect.Effect<void, AddressInUse, Scope.Scope> =>
  Effect.asVoid(
    Effect.acquireRelease(
      Effect.suspend(() => {
        const routes = routesFor(server)
        if (routes.paths.has(path)) return Effect.fail(new AddressInUse())
        routes.paths.set(path, own)
        if (own.exclusive) routes.intercept()
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
  /** Answers requests that are not upgrades. */
  readonly handler: http.RequestListener
  /** `undefined` for plain HTTP. */
  readonly secure: tls.SecureContextOptions | undefined
  /** How long a client may take for a TLS handshake, and for the head of a request. `undefined`: no deadline. */
  readonly upgradeMillis: number | undefined
}

/** Answers a request that is not an upgrade, where there is no handler for it. */
export const upgradeRequired: http.RequestListener = (_request, response) => {
  response.writeHead(426, { Upgrade: "websocket", Connection: "Upgrade, close", "Content-Type": "text/plain" })
  response.end("Upgrade Required")
}

/** Answers a request from a source that policy denies. Nothing else that comes on its connection is read. */
export const forbidden: http.RequestListener = (_request, response) => {
  response.writeHead(403, { Connection: "close" }).end()
}

/**
 * Answers a request whose handler threw. A response that it had begun is cut off. Nothing else on the connection is
 * read.
 */
export const broken: http.RequestListener = (request, response) => {
  if (response.headersSent) return void request.socket.destroy()
  for (const name of response.getHeaderNames()) response.removeHeader(name)
  response.writeHead(500, { Connection: "close" }).end()
}

/** The least time that a plain request gets as a whole. It may take longer than its head. */
const requestMillis = 60_000

/**
 * Makes a server of our own that does not listen yet. When the scope closes, it accepts no more, and connections that
 * have not become WebSockets are destroyed.
 */
export const own = ({ handler, secure, upgradeMillis }: Options): Effect.Effect<Server, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const options = {
        // To Node, 0 is no deadline. The deadline of a request also applies to its head.
        headersTimeout: upgradeMillis ?? 0,
        requestTimeout: upgradeMillis === undefined ? 0 : Math.max(requestMillis, upgradeMillis),
        connectionsCheckingInterval: Math.min(5000, Math.ceil((upgradeMillis ?? requestMillis) / 2)),
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 60_000
      }
      return secure === undefined
        ? nodeHttp.createServer(options, handler)
        : https.createServer({ ...options, ...secure, handshakeTimeout: upgradeMillis ?? 0 }, handler)
    }),
    (server) =>
      Effect.sync(() => {
        server.close()
        server.closeAllConnections()
      })
  )

/** Makes a server listen, with an inherited socket if there is one for the place, and returns its port. */
export const bind = (
  server: Server,
  place: { readonly host: string; readonly port: number },
  inherited: Inherited
): Effect.Effect<number, BindReason> =>
  Effect.callback((resume) => {
    server.on("error", (error) => resume(Effect.fail(bindReason(error))))
    const listening = inherited.listen(server, place, () =>
      resume(Effect.sync(() => (server.address() as AddressInfo).port))
    )
    if (Result.isFailure(listening)) resume(Effect.fail(listening.failure))
  })

/**
 * Checks that the application's server fits an address: it has TLS or not, has its port, and reaches no further than
 * the address says. Returns the port.
 */
export const attached = (
  server: Server,
  secure: boolean,
  host: string,
  port: number
): Effect.Effect<number, NotListenable> => {
  const fail = (detail: string) => Effect.fail(new NotListenable({ detail }))
  // Bun's https server is no tls server.
  if (secure !== (server instanceof tls.Server || server instanceof https.Server)) {
    return fail(
      secure
        ? "the `server` to share has no TLS, so it can't serve wss"
        : "the `server` to share has TLS, so it can't serve ws"
    )
  }
  const address = server.address()
  if (address === null) return fail("the `server` to share is not listening")
  // On a unix socket the address is that of the proxy before the server, so its reach can't be checked here.
  if (typeof address === "string") return Effect.succeed(port)
  if (port !== 0 && port !== address.port) return fail(`the \`server\` to share is on port ${address.port}`)
  return within(reachOf(address.address), reachOf(host))
    ? Effect.succeed(address.port)
    : fail(`the \`server\` to share is bound to ${address.address}, which reaches further than ${host}`)
}
