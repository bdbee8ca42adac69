/** `net`: TCP on Node. No delay, both half closes, keep-alive; both families are raced when a name has both. */
import * as dns from "node:dns"
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import * as Connection from "../Connection.ts"
import { DeniedByPolicy, NameNotFound, Refused, type TransportReason, Unreachable } from "../DialError.ts"
import { AddressInUse, AddressNotAvailable, type BindReason, NotListenable, PermissionDenied } from "../ListenError.ts"
import * as Transport from "../Transport.ts"
import { advertisedHosts, plainIp, reachOf } from "./ip.ts"
import { SocketPort } from "./socketPort.ts"

/** A vanished peer is noticed by TCP keep-alive after this long. */
const keepAliveMillis = 60_000

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMillis,
  allowHalfOpen: true
} as const

const codeOf = (error: NodeJS.ErrnoException): string => {
  if (error instanceof AggregateError) {
    const codes = error.errors.map((each: NodeJS.ErrnoException) => each.code ?? "")
    return codes.find((code) => code === "ECONNREFUSED") ?? codes[0] ?? "UNKNOWN"
  }
  return error.code ?? "UNKNOWN"
}

// -----------------------------------------------------------------------------
// dialing
// -----------------------------------------------------------------------------

const dialReason = (error: NodeJS.ErrnoException, host: string): TransportReason => {
  const code = codeOf(error)
  switch (code) {
    case "ECONNREFUSED":
      return new Refused()
    case "ENOTFOUND":
    case "EAI_AGAIN":
    case "EAI_FAIL":
    case "EAI_NODATA":
      return new NameNotFound({ host, code })
    default:
      return new Unreachable({ code })
  }
}

/** The connection over a connected socket, whose fd is gone with the scope whatever happens. */
const fromSocket = (socket: net.Socket): Effect.Effect<Connection.Connection, never, Scope.Scope> =>
  Effect.suspend(() => {
    const host = plainIp(socket.remoteAddress ?? "0.0.0.0")
    const transport = new Address.Net({ host, port: socket.remotePort ?? 0 })
    const remote = new Address.Address({ transport, transforms: [] })
    return Connection.make(new SocketPort(socket), { remote, peer: new Connection.Anonymous() })
  })

const dial = (
  { host, port }: Address.Net,
  { permits }: Transport.DialOptions
): Effect.Effect<Connection.Connection, TransportReason, Scope.Scope> =>
  Effect.gen(function* () {
    const denied = (ips: ReadonlyArray<string>) => new DeniedByPolicy({ detail: `may not dial ${ips.join(", ")}` })
    if (net.isIP(host) !== 0 && !permits(host)) return yield* denied([host])
    let deniedIps: ReadonlyArray<string> = []
    /** Policy sees what the name has become. */
    const lookup: net.LookupFunction = (hostname, options, callback) =>
      dns.lookup(hostname, { ...options, all: true }, (error, found) => {
        if (error !== null) return callback(error, [])
        const allowed = found.filter(({ address }) => permits(address))
        const [first] = allowed
        if (first === undefined) {
          deniedIps = found.map(({ address }) => address)
          return callback(Object.assign(new Error("denied"), { code: "EDENIED" }), [])
        }
        if (options.all === true) callback(null, allowed)
        else callback(null, first.address, first.family)
      })
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => net.connect({ host, port, lookup, autoSelectFamily: true, ...socketOptions })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    yield* Effect.callback<void, TransportReason>((resume) => {
      const onConnect = () => resume(Effect.void)
      const onError = (error: NodeJS.ErrnoException) =>
        resume(Effect.fail(deniedIps.length > 0 ? denied(deniedIps) : dialReason(error, host)))
      // The error listener stays until the port has its own: an error with no listener would be thrown.
      socket.once("connect", onConnect).on("error", onError)
      return Effect.sync(() => {
        socket.off("connect", onConnect)
        socket.destroy()
      })
    })
    return yield* fromSocket(socket)
  })

// -----------------------------------------------------------------------------
// listening
// -----------------------------------------------------------------------------

const bindReason = (error: NodeJS.ErrnoException): BindReason => {
  const code = codeOf(error)
  switch (code) {
    case "EADDRINUSE":
      return new AddressInUse()
    case "EACCES":
    case "EPERM":
      return new PermissionDenied({ code })
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return new AddressNotAvailable({ code })
    default:
      return new NotListenable({ detail: code })
  }
}

const listen = (
  { host, port }: Address.Net,
  onAccepted: Transport.OnAccepted
): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const server = yield* Effect.acquireRelease(
      Effect.sync(() => net.createServer({ ...socketOptions, pauseOnConnect: true })),
      (server) => Effect.sync(() => server.close())
    )
    const take = (socket: net.Socket) =>
      Effect.acquireRelease(Effect.succeed(socket), () => Effect.sync(() => socket.destroy())).pipe(
        Effect.flatMap(fromSocket)
      )
    server.on("connection", (socket) => {
      // Until the port listens: what fails before that shows when it does.
      socket.on("error", () => {})
      const source = socket.remoteAddress
      if (source === undefined || !onAccepted(take(socket), plainIp(source))) socket.destroy()
    })
    yield* Effect.callback<void, BindReason>((resume) => {
      server.once("error", (error) => resume(Effect.fail(bindReason(error))))
      server.listen({ host, port }, () => resume(Effect.void))
    })
    const address = server.address()
    const bound = typeof address === "object" && address !== null ? address.port : port
    return { section: new Address.Net({ host, port: bound }) }
  })

/** TCP. */
export const layer: Layer.Layer<Transport.Transport<"net">> = Transport.layer("net", {
  section: Schema.toType(Address.Net),
  cost: 2,
  reach: ({ host }) => reachOf(host),
  advertise: ({ host, port }, scope, external) =>
    advertisedHosts(host, scope, external).map((each) => new Address.Net({ host: each, port })),
  notDialable: ({ port }) => (port === 0 ? "port 0 is for listening" : undefined),
  dial,
  listen
})
