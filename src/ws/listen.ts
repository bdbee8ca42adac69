/** Listening for WebSockets: from an upgrade request to a connection that has arrived. */
import type * as http from "node:http"
import type { Socket } from "node:net"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { WebSocketServer } from "ws"
import type { Link } from "../Link.ts"
import { type BindReason, NotListenable } from "../ListenError.ts"
import { contains, type Networks } from "../Networks.ts"
import { plainIp, reachOf } from "../sockets/ip.ts"
import type { Arriving, ListenOptions, OnAccepted } from "../Transport.ts"
import { sourceOf } from "./forwarded.ts"
import * as HttpServer from "./httpServer.ts"
import { type Origins, type Rules, refusal } from "./origin.ts"
import { maxMessageOf, PortSocket, socketOptions } from "./portSocket.ts"
import { type Credentials, secureOptions } from "./tls.ts"
import { WsPort } from "./wsPort.ts"

export interface Options {
  /** `undefined` for plain HTTP. */
  readonly secure: { readonly credentials: Credentials | undefined } | undefined
  readonly server: HttpServer.Server | undefined
  readonly handler: http.RequestListener | undefined
  readonly origins: Origins | undefined
  readonly hosts: Rules["hosts"] | undefined
  readonly maxMessage: number
  readonly pingMillis: number
  readonly upgradeMillis: number
  readonly trustedProxies: Networks
}

/** What is bound. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly path: string
}

/** Makes a link of a port; `socket` says who has connected, and `source` who that was, when it was a proxy. */
export type Open = (port: WsPort, socket: Socket, source: string) => Effect.Effect<Link, never, Scope.Scope>

/** Somebody's server, or one of our own that is bound when everything else is ready. */
const serverFor = (
  { host, port }: Place,
  options: Options
): Effect.Effect<
  { readonly server: HttpServer.Server; readonly bound: Effect.Effect<number, BindReason> },
  BindReason,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const { handler, secure, server, upgradeMillis } = options
    if (server !== undefined) {
      return { server, bound: HttpServer.attached(server, secure !== undefined, host, port) }
    }
    if (secure !== undefined && secure.credentials === undefined) {
      return yield* new NotListenable({ detail: "wss needs a key and a certificate, or a server that has them" })
    }
    const tls =
      secure === undefined
        ? undefined
        : yield* Effect.mapError(
            secureOptions(secure.credentials, undefined),
            ({ message }) => new NotListenable({ detail: message })
          )
    const own = yield* HttpServer.own({ handler, secure: tls, upgradeMillis })
    return { server: own, bound: HttpServer.bind(own, host, port) }
  })

/** The same for a TLS socket and the one under it. */
const nameOf = ({ remoteAddress, remotePort }: Socket): string => `${remoteAddress} ${remotePort}`

/**
 * Those who have connected to a server of our own, until they ask for a WebSocket: limits hold from the first moment.
 */
const arrivalsOf = (server: HttpServer.Server, trusted: Networks, { onArriving }: ListenOptions) => {
  const arrivals = new Map<string, Arriving>()
  server.on("connection", (socket) => {
    const { remoteAddress } = socket
    const name = nameOf(socket)
    const ip = remoteAddress === undefined ? undefined : plainIp(remoteAddress)
    // A proxy says later who it is.
    const source = ip === undefined || contains(trusted, ip) ? undefined : ip
    const arriving = ip === undefined ? undefined : onArriving(source, () => socket.destroy())
    if (arriving === undefined) return socket.destroy()
    arrivals.set(name, arriving)
    socket.once("close", () => take(name)?.gone())
  })
  server.on("request", ({ socket }) => arrivals.get(nameOf(socket))?.stay())
  const take = (name: string): Arriving | undefined => {
    const arriving = arrivals.get(name)
    arrivals.delete(name)
    return arriving
  }
  return take
}

/** Listens at a path, as long as the scope, and gives the port. */
export const listen = (
  place: Place,
  options: Options,
  told: ListenOptions,
  onAccepted: OnAccepted,
  open: Open
): Effect.Effect<number, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const { authenticates, onRefused } = told
    const rules: Rules = {
      origins: options.origins ?? (authenticates ? "any" : []),
      hosts: options.hosts ?? (!authenticates && reachOf(place.host) === "device" ? "loopback" : "any")
    }
    const upgrades = new WebSocketServer({
      ...socketOptions(authenticates, options.maxMessage),
      noServer: true,
      clientTracking: false,
      WebSocket: PortSocket
    })
    const toPort = (request: http.IncomingMessage, socket: Socket, head: Buffer): WsPort | undefined => {
      let port: WsPort | undefined
      // It throws when somebody else has upgraded this socket already, whose it is then.
      Result.try(() =>
        upgrades.handleUpgrade(request, socket, head, (ws) => {
          port = new WsPort(ws, socket, {
            dialed: false,
            halfClose: authenticates,
            maxMessage: maxMessageOf(authenticates, options.maxMessage),
            pingMillis: options.pingMillis
          })
        })
      )
      return port
    }
    const onUpgrade: HttpServer.OnUpgrade = (request, socket, head) => {
      const { host, origin } = request.headers
      const { remoteAddress } = socket
      if (remoteAddress === undefined) {
        told.onVanished()
        return void socket.destroy()
      }
      const source = sourceOf(plainIp(remoteAddress), request.headers, options.trustedProxies)
      if (refusal(rules, { host, origin }) !== undefined) {
        onRefused("Origin", source, origin)
        return HttpServer.refuse(socket, 403)
      }
      let upgraded: { readonly port: WsPort | undefined } | undefined
      const upgrade = () => {
        upgraded ??= { port: toPort(request, socket, head) }
        return upgraded.port
      }
      const accepted = Effect.acquireRelease(Effect.sync(upgrade), (port) =>
        Effect.sync(() => (port === undefined ? socket.destroy() : port.destroy()))
      ).pipe(Effect.flatMap((port) => (port === undefined ? Effect.interrupt : open(port, socket, source))))
      const accept = arrived(nameOf(socket))?.accept ?? onAccepted
      if (accept(accepted, source, origin)) upgrade()
      else HttpServer.refuse(socket, 503)
    }
    const { bound, server } = yield* serverFor(place, options)
    const arrived = options.server === undefined ? arrivalsOf(server, options.trustedProxies, told) : () => undefined
    yield* HttpServer.route(server, HttpServer.pathOf(place.path), onUpgrade)
    return yield* bound
  })
