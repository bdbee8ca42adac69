/** Listening for WebSockets: from an upgrade request to a connection that has arrived. */
import type * as http from "node:http"
import type { Socket } from "node:net"
import { Server } from "node:tls"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { WebSocketServer } from "ws"
import { makeReport } from "../guarded.ts"
import { HandshakeError, PeerMisbehaved, Rejected } from "../HandshakeError.ts"
import type { Link } from "../Link.ts"
import { type BindReason, NotListenable } from "../ListenError.ts"
import type { Networks } from "../Networks.ts"
import { printable } from "../printable.ts"
import type { Inherited } from "../sockets/inherited.ts"
import { plainIp, reachOf } from "../sockets/ip.ts"
import type { ListenOptions, OnAccepted } from "../Transport.ts"
import { Arrivals } from "./arrivals.ts"
import { sourceOf } from "./forwarded.ts"
import * as HttpServer from "./httpServer.ts"
import { type Origins, type Rules, refusal } from "./origin.ts"
import { maxMessageOf, PortSocket, socketOptions } from "./portSocket.ts"
import type { Pulses } from "./pulses.ts"
import { type Credentials, LiveCredentials, secureOptions } from "./tls.ts"
import { WsPort } from "./wsPort.ts"

export interface Options {
  /** `undefined` for plain HTTP. */
  readonly secure: { readonly credentials: Credentials | LiveCredentials | undefined } | undefined
  readonly server: HttpServer.Server | undefined
  /** Whether other listeners of `server` don't get the upgrade requests of the path. */
  readonly exclusive: boolean
  readonly handler: http.RequestListener | undefined
  readonly origins: Origins | undefined
  readonly hosts: Rules["hosts"] | undefined
  readonly maxMessage: number
  readonly pulses: Pulses
  /** How long a client may take for the head of its request. `undefined`: as long as the limits say. */
  readonly upgradeMillis: number | undefined
  readonly trustedProxies: Networks
  readonly inherited: Inherited
}

/** A host, a port and a path, to dial or to listen on. */
export interface Place {
  readonly host: string
  readonly port: number
  readonly path: string
}

/**
 * Makes a link over a port. `socket` is what has connected. `source` is the client's IP, or what a trusted proxy says
 * it is.
 */
export type Open = (port: WsPort, socket: Socket, source: string | undefined) => Effect.Effect<Link, never, Scope.Scope>

const notReplaceable =
  "this runtime can't replace the certificate of a server that listens, as Node can: don't use makeCredentials"

/** The server to listen on: the application's, or one of our own. `bound` is run when everything else is ready. */
const serverFor = (
  { host, port }: Place,
  options: Options,
  handler: http.RequestListener
): Effect.Effect<
  { readonly server: HttpServer.Server; readonly bound: Effect.Effect<number, BindReason> },
  BindReason,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const { secure, server, upgradeMillis } = options
    if (server !== undefined) {
      return { server, bound: HttpServer.attached(server, secure !== undefined, host, port) }
    }
    if (secure !== undefined && secure.credentials === undefined) {
      return yield* new NotListenable({ detail: "wss needs a key and a certificate, or a server that has them" })
    }
    const credentials = secure?.credentials
    const live = credentials instanceof LiveCredentials ? credentials : undefined
    // Replaceable credentials are set by `showOn`, before anything is bound.
    const given = credentials instanceof LiveCredentials ? undefined : credentials
    const tls =
      secure === undefined
        ? undefined
        : yield* Effect.mapError(
            secureOptions(given, undefined),
            ({ message }) => new NotListenable({ detail: message })
          )
    const own = yield* HttpServer.own({ handler, secure: tls, upgradeMillis })
    if (live !== undefined) {
      // Bun's https server is no tls server, and keeps the certificate that it was made with.
      if (!(own instanceof Server)) return yield* new NotListenable({ detail: notReplaceable })
      yield* live.showOn(own)
    }
    return { server: own, bound: HttpServer.bind(own, { host, port }, options.inherited) }
  })

/** What has been bound. `ip` is set for a server of our own only. */
export interface Listening {
  readonly port: number
  readonly ip: string | undefined
}

/** Destroys it when the scope closes. The finalizer lives as long as the connection, and keeps nothing else. */
const releaseWith = (scope: Scope.Scope, owned: WsPort | Socket): Effect.Effect<void> =>
  Scope.addFinalizerExit(scope, () => Effect.sync(() => void owned.destroy()))

/** Listens at a path until the scope closes. */
export const listen = (
  place: Place,
  options: Options,
  told: ListenOptions,
  onAccepted: OnAccepted,
  open: Open
): Effect.Effect<Listening, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const { authenticates, onRefused } = told
    const report = yield* makeReport
    const protocol = options.secure === undefined ? "ws" : "wss"
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
      // `handleUpgrade` throws when other code has upgraded this socket already. The socket belongs to that code then.
      Result.try(() =>
        upgrades.handleUpgrade(request, socket, head, (ws) => {
          port = new WsPort(ws, socket, {
            dialed: false,
            halfClose: authenticates,
            maxMessage: maxMessageOf(authenticates, options.maxMessage),
            onLingering: told.onLingering,
            pulses: options.pulses
          })
        })
      )
      return port
    }
    const arrivals = options.server === undefined ? new Arrivals(options.trustedProxies, told) : undefined
    const onUpgrade: HttpServer.OnUpgrade = (request, socket, head) => {
      const { host, origin } = request.headers
      const page = origin && printable(origin)
      const arrival = arrivals?.take(socket)
      // A request of it was refused before, or it is gone. Either way its event was emitted.
      if (arrivals !== undefined && arrival === undefined) return void socket.destroySoon()
      const { remoteAddress } = socket
      if (remoteAddress === undefined && !isLocal(server)) {
        arrival?.gone()
        told.onVanished()
        return void socket.destroy()
      }
      const peer = remoteAddress === undefined ? undefined : plainIp(remoteAddress)
      const source = sourceOf(peer, request.headers, options.trustedProxies)
      const forbidden = refusal(rules, { host, origin })
      if (forbidden !== undefined) {
        arrival?.gone()
        onRefused(forbidden, source, page)
        return HttpServer.refuse(socket, 403)
      }
      // The fiber of the connection keeps `accepted`, and with it what is used below: but no request that was used.
      let asked: { readonly request: http.IncomingMessage; readonly head: Buffer } | undefined = { request, head }
      let port: WsPort | undefined
      const upgrade = () => {
        if (asked !== undefined) port = toPort(asked.request, socket, asked.head)
        asked = undefined
        return port
      }
      const accepted = Effect.uninterruptible(
        Effect.flatMap(Effect.scope, (scope) => releaseWith(scope, upgrade() ?? socket))
      ).pipe(Effect.flatMap(() => (port === undefined ? notUpgraded(protocol, socket) : open(port, socket, source))))
      if ((arrival?.accept ?? onAccepted)(accepted, source, page)) upgrade()
      else HttpServer.refuse(socket, 503)
    }
    const handler: http.RequestListener = (request, response) => {
      const { headers, socket } = request
      if (options.handler === undefined) {
        arrivals?.stay(socket, "PlainHttp")
        return HttpServer.upgradeRequired(request, response)
      }
      const peer = socket.remoteAddress === undefined ? undefined : plainIp(socket.remoteAddress)
      const mayStay = arrivals?.stay(socket, undefined, sourceOf(peer, headers, options.trustedProxies)) !== false
      if (!mayStay) return HttpServer.forbidden(request, response)
      const { handler } = options
      const answered = Result.try(() => handler(request, response))
      if (Result.isSuccess(answered)) return
      report("the handler of plain HTTP threw", answered.failure)
      HttpServer.broken(request, response)
    }
    const { bound, server } = yield* serverFor(place, options, handler)
    arrivals?.watch(server)
    yield* HttpServer.route(server, HttpServer.pathOf(place.path), {
      take: onUpgrade,
      exclusive: options.exclusive,
      unknown: (request, socket) => {
        if (arrivals !== undefined) return void arrivals.stay(socket, "UnknownPath")
        const ip = socket.remoteAddress === undefined ? undefined : plainIp(socket.remoteAddress)
        const { origin } = request.headers
        onRefused("UnknownPath", sourceOf(ip, request.headers, options.trustedProxies), origin && printable(origin))
      }
    })
    const port = yield* bound
    const own = options.server === undefined ? server.address() : null
    return { port, ip: typeof own === "object" ? own?.address : undefined }
  })

/** Whether a server listens on a unix socket, where newcomers have no IP. */
const isLocal = (server: HttpServer.Server): boolean => typeof server.address() === "string"

/** The error when `ws` has made no WebSocket. Either `ws` has refused the request, or the client was gone. */
const notUpgraded = (protocol: string, socket: Socket): Effect.Effect<never, HandshakeError> => {
  const reason = socket.readableEnded
    ? new Rejected({ after: "connect" })
    : new PeerMisbehaved({ detail: "its upgrade request is not one for a WebSocket as RFC 6455 defines it" })
  return Effect.fail(new HandshakeError({ protocol, phase: "upgrade", reason }))
}
