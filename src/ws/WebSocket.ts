/**
 * `ws` and `wss`: WebSockets on Node. A byte stream over binary messages, with backpressure both ways and without
 * compression.
 *
 * A half close is what a transform above makes of it: over a bare ws `end` sends a Close, and what the peer had sent
 * before its own is read to the end.
 */
import * as http from "node:http"
import { isIP, type Socket } from "node:net"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type { Tls, TransportReason } from "../DialError.ts"
import * as Link from "../Link.ts"
import type { BindReason } from "../ListenError.ts"
import { empty, type Networks } from "../Networks.ts"
import { anonymous } from "../Peer.ts"
import { fdRoom } from "../sockets/fdRoom.ts"
import { advertisedHosts, boundHosts, isWildcard, plainIp, reachOf } from "../sockets/ip.ts"
import * as Transport from "../Transport.ts"
import { timerMillis } from "../timerMillis.ts"
import { dial } from "./dial.ts"
import { type Proxies, proxyFor } from "./HttpProxy.ts"
import type { Server } from "./httpServer.ts"
import { listen, type Place } from "./listen.ts"
import type { Origins } from "./origin.ts"
import { defaultMaxMessage } from "./portSocket.ts"
import { type Credentials, LiveCredentials, type Pem } from "./tls.ts"
import type { WsPort } from "./wsPort.ts"

export type { Origins } from "./origin.ts"
export { type Credentials, LiveCredentials, type Pem } from "./tls.ts"

/** For dialing and listening over `ws`; each has a default. */
export interface Options {
  /** Somebody's server that listens already, to share; it is never closed. By default each address has its own. */
  readonly server?: Server
  /**
   * Answers plain HTTP on the ports of our own servers. By default 426 Upgrade Required. What it throws is logged, and
   * answered with 500. What it does later, in a callback or as a promise, is for itself to catch: a throw there ends
   * the process.
   */
  readonly handler?: http.RequestListener
  /**
   * The web pages that may connect. By default all where the stack authenticates, and otherwise none: then who connects
   * has no origin, and so is no page.
   */
  readonly origins?: Origins
  /**
   * The host names by which clients may call this server, or `any`. By default `any`. On a loopback address, in a stack
   * that authenticates nobody, the default is `loopback`: a web page could otherwise let its own name resolve to
   * 127.0.0.1, and connect under it.
   */
  readonly hosts?: "any" | "loopback" | ReadonlyArray<string>
  /**
   * The origin that a dial shows. By default none, as is right for what is no page. Making the layer throws for what
   * can't be a header.
   */
  readonly origin?: string
  /**
   * Headers of a dial's request, such as Authorization; secrets in `Redacted`. The same go to every server that is
   * dialed: give them to a Multiserver that dials only those that they are for. Making the layer throws for what can't
   * be a header.
   */
  readonly headers?: Headers
  /**
   * The longest message that is read where the stack doesn't authenticate, in bytes. By default 16 MiB; otherwise it is
   * 128 KiB. It takes no memory: what has come of a message can be pulled before the rest comes.
   */
  readonly maxMessage?: number
  /**
   * How much silence makes for a ping. The second in a row that nothing answers ends the connection. By default 30
   * seconds; a longer time is rounded up to a multiple of that, and infinity is for no pings.
   */
  readonly ping?: Duration.Input
  /**
   * The proxies through which clients come: of these, who connected is what X-Forwarded-For says, from its right the
   * first that is none of them. By default none, and all who come through a proxy are one source.
   */
  readonly trustedProxies?: Networks
  /**
   * How long a client may take for the head of its request, by default 15 seconds, so that the deadline of handshakes
   * comes first; and a server for its answer, by default as long as the dial may take to connect. With infinity it is
   * the limits' deadlines alone that end them.
   */
  readonly upgradeTimeout?: Duration.Input
  /** The HTTP proxies to dial through. By default none. */
  readonly proxies?: Proxies
}

/** Headers of an HTTP request, by their names. */
export type Headers = Readonly<Record<string, string | Redacted.Redacted<string>>>

/** The same over `wss`, with certificates. */
export interface SecureOptions extends Options {
  /** To listen with. Those of `makeCredentials` can be replaced while it listens. */
  readonly credentials?: Credentials | LiveCredentials
  /** To dial with, for servers that ask. */
  readonly clientCredentials?: Credentials
  /** The roots to trust, instead of the system's. */
  readonly ca?: Pem | ReadonlyArray<Pem>
}

/**
 * Credentials that can be replaced while listeners show them, as when a certificate has been renewed: give them to
 * `layerSecure`, then run `reload`, or `replace`. Fails when they can't be used.
 */
export const makeCredentials: (credentials: Credentials) => Effect.Effect<LiveCredentials, Tls> = LiveCredentials.make

type Section = Address.Ws | Address.Wss

/** What differs between the two. */
interface Kind<S extends Section> {
  readonly section: Schema.Codec<S, Address.Section>
  readonly cost: number
  readonly make: (place: Place) => S
  readonly secure: SecureOptions | undefined
}

const define = <S extends Section>(
  { cost, make, section, secure }: Kind<S>,
  options: Options
): Transport.Definition<S> => {
  const { handler, headers = {}, hosts, maxMessage = defaultMaxMessage, origin, origins, server } = options
  if (origin !== undefined) http.validateHeaderValue("origin", origin)
  for (const [name, value] of Object.entries(headers)) {
    // They throw, and name no value.
    http.validateHeaderName(name)
    http.validateHeaderValue(name, Redacted.isRedacted(value) ? Redacted.value(value) : value)
  }
  const common = { maxMessage, pingMillis: Duration.toMillis(options.ping ?? "30 seconds") }
  const { upgradeTimeout } = options
  const ca = secure?.ca === undefined ? undefined : [secure.ca].flat()
  const dialing = {
    ...common,
    headers,
    origin,
    proxies: options.proxies ?? {},
    secure: secure && { credentials: secure.clientCredentials, ca },
    upgradeMillis: upgradeTimeout === undefined ? undefined : timerMillis(upgradeTimeout)
  }
  const listening = {
    ...common,
    // The deadline of handshakes comes first, and has an event that says so.
    upgradeMillis: timerMillis(upgradeTimeout ?? "15 seconds"),
    handler,
    hosts,
    origins,
    server,
    trustedProxies: options.trustedProxies ?? empty,
    secure: secure && { credentials: secure.credentials }
  }

  /** The link over a port; `at` is where its other end is, and `source` where a newcomer comes from. */
  const linkOver = (port: WsPort, at: Place, source?: string): Effect.Effect<Link.Link, never, Scope.Scope> =>
    Effect.suspend(() => {
      const remote = new Address.Address({ transport: make(at), transforms: [] })
      return Link.make(port, { remote, peer: anonymous, source })
    })
  const remoteOf = ({ remoteAddress, remotePort = 0 }: Socket, source: string | undefined): Place => ({
    host: plainIp(remoteAddress ?? source ?? "0.0.0.0"),
    port: remotePort,
    path: "/"
  })
  return {
    section,
    cost,
    room: fdRoom,
    reach: ({ host }) => reachOf(host),
    // The proxy looks names up, so that nobody here knows where they lead.
    toIps: (place) => isIP(place.host) !== 0 || proxyFor(dialing.proxies, secure !== undefined, place) === undefined,
    narrow: ({ host, path, port }, scope) => boundHosts(host, scope).map((each) => make({ host: each, port, path })),
    advertise: ({ host, path, port }, scope, external, reach) =>
      advertisedHosts(
        host,
        scope,
        external.filter((each) => !each.endsWith(".onion")),
        reach
      ).map((each) => make({ host: each, port, path })),
    notDialable: ({ port }) => (port === 0 ? "port 0 is for listening" : undefined),
    dial: (place, told): Effect.Effect<Link.Link, TransportReason, Scope.Scope> =>
      Effect.flatMap(dial(place, dialing, told), ({ at, port }) => linkOver(port, at)),
    listen: (place, onAccepted, told): Effect.Effect<Transport.Bound, BindReason, Scope.Scope> =>
      listen(place, listening, told, onAccepted, (port, socket, source) =>
        linkOver(port, remoteOf(socket, source), source)
      ).pipe(
        Effect.map(({ ip, port }) => {
          // A name may be found to be this device's only, or all interfaces.
          const host = ip !== undefined && isWildcard(ip) ? ip : place.host
          return { section: make({ host, port, path: place.path }), ...(ip !== undefined && { reach: reachOf(ip) }) }
        })
      )
  }
}

/** `ws`. */
export const layer = (options: Options = {}): Layer.Layer<Transport.Transport<"ws">> =>
  Transport.layer(
    "ws",
    define(
      { section: Schema.toType(Address.Ws), cost: 3, make: (place) => new Address.Ws(place), secure: undefined },
      options
    )
  )

/** `wss`: the same over TLS. */
export const layerSecure = (options: SecureOptions = {}): Layer.Layer<Transport.Transport<"wss">> =>
  Transport.layer(
    "wss",
    define(
      { section: Schema.toType(Address.Wss), cost: 4, make: (place) => new Address.Wss(place), secure: options },
      options
    )
  )
