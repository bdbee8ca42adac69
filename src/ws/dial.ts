/** Dialing a WebSocket: from a place to an open port. */
import type { IncomingMessage } from "node:http"
import * as net from "node:net"
import * as tls from "node:tls"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Record from "effect/Record"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Scope from "effect/Scope"
import { NotDialable, type TransportReason, Unreachable } from "../DialError.ts"
import { reached } from "../sockets/ip.ts"
import { dialReason } from "../sockets/reasons.ts"
import { ignore } from "../sockets/socketPort.ts"
import { toHost } from "../sockets/toHost.ts"
import type { DialOptions } from "../Transport.ts"
import { type Proxies, proxyFor, through } from "./HttpProxy.ts"
import { httpAnswer } from "./httpAnswer.ts"
import type { Place } from "./listen.ts"
import { maxMessageOf, PortSocket, socketOptions } from "./portSocket.ts"
import type { Pulses } from "./pulses.ts"
import { type Credentials, type Pem, secureOptions, tlsError } from "./tls.ts"
import { WsPort } from "./wsPort.ts"

export interface Options {
  /** `undefined` for plain HTTP. */
  readonly secure:
    | { readonly credentials: Credentials | undefined; readonly ca: ReadonlyArray<Pem> | undefined }
    | undefined
  readonly origin: string | undefined
  readonly proxies: Proxies
  readonly headers: Readonly<Record<string, string | Redacted.Redacted<string>>>
  readonly maxMessage: number
  readonly pulses: Pulses
  /** How long the server may take to answer. `undefined`: as long as the dial may take. */
  readonly upgradeMillis: number | undefined
}

/** An open WebSocket. */
export interface Dialed {
  readonly port: WsPort
  /** Where it leads: the IP and port of the socket or, through a proxy, the dialed host and port. */
  readonly at: Place
}

/** A socket, the WebSocket over it, and its port once it is open. */
interface Taken {
  readonly socket: net.Socket
  readonly ws: PortSocket
  port: WsPort | undefined
}

/**
 * Releases a WebSocket when the scope closes, however far it had got. The finalizer lives as long as the connection, so
 * it is made here, where it keeps nothing else of the dial.
 */
const releaseWith = (scope: Scope.Scope, taken: Taken): Effect.Effect<void> =>
  Scope.addFinalizerExit(scope, () =>
    Effect.sync(() => {
      const { port, socket, ws } = taken
      if (port !== undefined) return port.destroy()
      ws.terminate()
      socket.destroy()
    })
  )

const tcpOptions = { keepAlive: true, keepAliveInitialDelay: 60_000 } as const

const urlOf = ({ host, path, port }: Place, secure: boolean): string => {
  // An IPv6 zone means something on this machine only, so it stays out of the Host header.
  const authority = host.includes(":") ? `[${host.replace(/%.*$/, "")}]` : host
  return `${secure ? "wss" : "ws"}://${authority}:${port}${path}`
}

/** Opens a WebSocket. When the scope closes, nothing of it is left, however far it had got. */
export const dial = (
  place: Place,
  options: Options,
  told: DialOptions
): Effect.Effect<Dialed, TransportReason, Scope.Scope> =>
  Effect.gen(function* () {
    const { host, port } = place
    const { secure } = options
    const { authenticates } = told
    const parsed = Result.try(() => new URL(urlOf(place, secure !== undefined)))
    if (Result.isFailure(parsed)) return yield* new NotDialable({ detail: "no URL can be made of it" })
    const url = parsed.success
    const tlsOptions = secure && (yield* secureOptions(secure.credentials, secure.ca))
    const proxy = proxyFor(options.proxies, secure !== undefined, place)
    const open = (to: { readonly host: string; readonly port: number }) => net.connect({ ...to, ...tcpOptions })
    const connecting =
      proxy === undefined
        ? toHost(host, told, (ip) => open({ host: ip, port }))
        : through(proxy, { host, port }, told, open)

    const over = (tcp: net.Socket): net.Socket => {
      if (tlsOptions === undefined) return tcp
      const servername = net.isIP(host) === 0 ? host : ""
      // Without a server name, as for an IP, the certificate is checked against `host`.
      return tls.connect({ socket: tcp, host, ...tlsOptions, servername, ALPNProtocols: ["http/1.1"] })
    }
    const outcome = Deferred.makeUnsafe<Dialed, TransportReason>()
    let inTls = tlsOptions !== undefined
    const reasonOf = (error: NodeJS.ErrnoException): TransportReason => {
      if (inTls || isTls(error)) return tlsError(error)
      const known = error.code !== undefined || error instanceof AggregateError
      return known ? dialReason(error, host) : new Unreachable({ code: "WS_HANDSHAKE", cause: error })
    }
    /** Called in the step that opens the socket, so that no event is missed before the fiber goes on. */
    const hear = (taken: Taken): void => {
      const { socket, ws } = taken
      if (inTls) {
        socket.once("secureConnect", () => {
          inTls = false
        })
      }
      ws.once("open", () => {
        // They would keep all of the dial as long as the connection lives.
        ws.off("unexpected-response", onResponse).off("error", onError)
        // The port is made at once, because the first message may have come with the server's answer.
        const opened = new WsPort(ws, socket, {
          dialed: true,
          halfClose: authenticates,
          maxMessage: maxMessageOf(authenticates, options.maxMessage),
          pulses: options.pulses
        })
        const at = { ...(proxy === undefined ? reached(socket, place) : { host, port }), path: place.path }
        taken.port = opened
        Deferred.doneUnsafe(outcome, Effect.succeed({ port: opened, at }))
      })
      const onResponse = (_request: unknown, { headers: { location }, statusCode: status = 0 }: IncomingMessage) => {
        const reason = new Unreachable({ code: `HTTP_${status}`, http: httpAnswer(status, location) })
        Deferred.doneUnsafe(outcome, Effect.fail(reason))
      }
      const onError = (error: Error) => Deferred.doneUnsafe(outcome, Effect.fail(reasonOf(error)))
      ws.once("unexpected-response", onResponse).once("error", onError)
    }
    const take = (tcp: net.Socket): Effect.Effect<Taken, TransportReason> => {
      // A socket that was destroyed before emits no further events.
      if (tcp.destroyed) return Effect.fail(reasonOf(Object.assign(new Error("it hung up"), { code: "ECONNRESET" })))
      const socket = over(tcp)
      // For the handshake only: `ws` removes this timeout afterwards.
      if (options.upgradeMillis !== undefined) socket.setTimeout(options.upgradeMillis)
      const ws = new PortSocket(url, {
        ...socketOptions(authenticates, options.maxMessage),
        ...(options.origin !== undefined && { origin: options.origin }),
        headers: Record.map(options.headers, (value) => (Redacted.isRedacted(value) ? Redacted.value(value) : value)),
        ...(options.upgradeMillis !== undefined && { handshakeTimeout: options.upgradeMillis }),
        createConnection: () => socket
      })
      // From the first moment, and for good, because an `error` event without a listener would be thrown.
      ws.on("error", ignore)
      socket.on("error", ignore)
      const taken: Taken = { socket, ws, port: undefined }
      hear(taken)
      return Effect.succeed(taken)
    }
    const scope = yield* Effect.scope
    yield* Effect.uninterruptibleMask((restore) =>
      Effect.flatMap(connecting(restore), (tcp) =>
        // If `take` fails or throws, there is no finalizer yet, so the socket is destroyed here.
        Effect.onError(
          Effect.suspend(() => take(tcp)),
          () => Effect.sync(() => tcp.destroy())
        ).pipe(Effect.flatMap((taken) => releaseWith(scope, taken)))
      )
    )

    return yield* Deferred.await(outcome)
  })

/**
 * Whether an error comes from TLS. With TLS 1.3 it may come after the handshake, because a server rejects the client's
 * certificate only then.
 */
const isTls = ({ code = "" }: NodeJS.ErrnoException): boolean => /^(ERR_(SSL|TLS)_|EPROTO$)/.test(code)
