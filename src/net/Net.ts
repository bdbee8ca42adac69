/** `net`: TCP on Node. No delay, both half closes, keep-alive; both families are raced when a name has both. */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type { Connection } from "../Connection.ts"
import type { TransportReason } from "../DialError.ts"
import { trusted } from "../internal/trusted.ts"
import type { BindReason } from "../ListenError.ts"
import * as Transport from "../Transport.ts"
import { advertisedHosts, boundHosts, plainIp, reachOf } from "./ip.ts"
import { permitted } from "./lookup.ts"
import { bindReason, dialReason } from "./reasons.ts"
import { accepted, bound, connected, overSocket } from "./streamSocket.ts"

/** A vanished peer is noticed by TCP keep-alive after this long. */
const keepAliveMillis = 60_000

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMillis,
  allowHalfOpen: true
} as const

/** Where a socket's other end is. */
const remoteOf = (socket: net.Socket): Address.Net =>
  trusted(Address.Net, { _tag: "net", host: plainIp(socket.remoteAddress ?? "0.0.0.0"), port: socket.remotePort ?? 0 })

const dial = (
  { host, port }: Address.Net,
  { permits }: Transport.DialOptions
): Effect.Effect<Connection, TransportReason, Scope.Scope> =>
  Effect.suspend(() => {
    const { denied, lookup } = permitted(host, permits)
    const deniedAtOnce = denied()
    if (deniedAtOnce !== undefined) return Effect.fail(deniedAtOnce)
    const open = () => net.connect({ host, port, lookup, autoSelectFamily: true, ...socketOptions })
    return connected(open, (error) => denied() ?? dialReason(error, host)).pipe(
      Effect.flatMap((socket) => overSocket(socket, remoteOf(socket)))
    )
  })

const listen = (
  { host, port }: Address.Net,
  onAccepted: Transport.OnAccepted
): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const open = () =>
      net.createServer({ ...socketOptions, pauseOnConnect: true }).on("connection", (socket) => {
        const source = socket.remoteAddress
        const connection = accepted(socket, () => remoteOf(socket))
        if (source === undefined || !onAccepted(connection, plainIp(source))) socket.destroy()
      })
    const server = yield* bound(open, { host, port }, bindReason)
    const address = server.address()
    const own = typeof address === "object" && address !== null ? address.port : port
    return { section: new Address.Net({ host, port: own }) }
  })

/** An external name of Tor's is reached through Tor. */
const advertised = (host: string, port: number): Address.Section =>
  host.endsWith(".onion") ? new Address.Onion({ host, port }) : new Address.Net({ host, port })

/** TCP. */
export const layer: Layer.Layer<Transport.Transport<"net">> = Transport.layer("net", {
  section: Schema.toType(Address.Net),
  cost: 2,
  reach: ({ host }) => reachOf(host),
  narrow: ({ host, port }, scope) => boundHosts(host, scope).map((each) => new Address.Net({ host: each, port })),
  advertise: ({ host, port }, scope, external) =>
    advertisedHosts(host, scope, external).map((each) => advertised(each, port)),
  notDialable: ({ port }) => (port === 0 ? "port 0 is for listening" : undefined),
  dial,
  listen
})
