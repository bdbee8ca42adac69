/** `net`: TCP on Node, with half close, keep-alive and no Nagle delay. A name's IPs are tried as RFC 8305 says. */
import * as net from "node:net"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type { TransportReason } from "../DialError.ts"
import type { Link } from "../Link.ts"
import type { BindReason } from "../ListenError.ts"
import { contains, empty, type Networks } from "../Networks.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import { fdRoom } from "../sockets/fdRoom.ts"
import { type Inherited, InheritedSockets } from "../sockets/inherited.ts"
import { advertisedHosts, boundHosts, isWildcard, plainIp, reached, reachOf } from "../sockets/ip.ts"
import { bindReason } from "../sockets/reasons.ts"
import { breakOff } from "../sockets/socketPort.ts"
import { accepted, bound, dialed, type Reading, reading } from "../sockets/streamSocket.ts"
import { toHost } from "../sockets/toHost.ts"
import * as Transport from "../Transport.ts"
import { proxied } from "./proxied.ts"

/** How long a connection is idle before TCP keep-alive probes whether the peer is still there. */
const keepAliveMillis = 60_000

const socketOptions = {
  noDelay: true,
  keepAlive: true,
  keepAliveInitialDelay: keepAliveMillis,
  allowHalfOpen: true
} as const

const sectionOf = ({ host, port }: { readonly host: string; readonly port: number }): Address.Net =>
  makeUnchecked(Address.Net, { _tag: "net", host, port })

const dial = (
  place: Address.Net,
  told: Transport.DialOptions,
  reading: Reading
): Effect.Effect<Link, TransportReason, Scope.Scope> =>
  dialed(
    (opening) =>
      toHost(place.host, told, (ip) =>
        opening((options) => net.connect({ host: ip, port: place.port, ...socketOptions, ...options }))
      ),
    (socket) => sectionOf(reached(socket, place)),
    reading,
    told
  )

/**
 * Options of the `net` transport, for listeners behind proxies.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The proxies that begin each connection with a PROXY protocol header, version 1 or 2, which names the client. Their
   * connections are refused without one. From any other source no header is read. By default no proxy is trusted.
   */
  readonly trustedProxies?: Networks
}

const listen = (
  { host, port }: Address.Net,
  onAccepted: Transport.OnAccepted,
  told: Transport.ListenOptions,
  { trustedProxies = empty }: Options,
  reading: Reading,
  inherited: Inherited
): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
  Effect.gen(function* () {
    const open = () =>
      net.createServer({ ...socketOptions, pauseOnConnect: true }).on("connection", (socket) => {
        const { remoteAddress } = socket
        if (remoteAddress === undefined) {
          told.onVanished()
          return socket.destroy()
        }
        const source = plainIp(remoteAddress)
        if (contains(trustedProxies, source)) return proxied(socket, source, told, reading)
        const remote = sectionOf({ host: source, port: socket.remotePort ?? 0 })
        const arrived = onAccepted(accepted(socket, remote, reading, told, source), source)
        if (!arrived) breakOff(socket, told.authenticates)
      })
    const server = yield* bound(open, (server, done) => inherited.listen(server, { host, port }, done), bindReason)
    const own = server.address()
    if (typeof own !== "object" || own === null) return { section: new Address.Net({ host, port }) }
    // A name can resolve to a loopback IP or to a wildcard, so look at what was bound.
    const section = new Address.Net({ host: isWildcard(own.address) ? own.address : host, port: own.port })
    return { section, reach: reachOf(own.address) }
  })

/** An external `.onion` name is advertised as an `onion` section, because it is dialed through Tor. */
const advertised = (host: string, port: number): Address.Section =>
  host.endsWith(".onion") ? new Address.Onion({ host, port }) : new Address.Net({ host, port })

/**
 * The `net` transport: dials and listens over TCP. By default no proxy is trusted.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Transport.Transport<"net">> =>
  Layer.effect(
    Transport.Transport("net"),
    Effect.map(Effect.all([reading, InheritedSockets]), ([reading, inherited]) =>
      Transport.make({
        section: Schema.toType(Address.Net),
        cost: 2,
        room: fdRoom,
        reach: ({ host }) => reachOf(host),
        toIps: true,
        narrow: ({ host, port }, scope) => boundHosts(host, scope).map((each) => new Address.Net({ host: each, port })),
        advertise: ({ host, port }, scope, external, reach) =>
          advertisedHosts(host, scope, external, reach).map((each) => advertised(each, port)),
        notDialable: ({ port }) => (port === 0 ? "port 0 is for listening" : undefined),
        dial: (section, options) => dial(section, options, reading),
        listen: (section, onAccepted, told) => listen(section, onAccepted, told, options, reading, inherited)
      })
    )
  )
