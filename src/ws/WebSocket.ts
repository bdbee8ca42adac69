/**
 * `ws` and `wss`: WebSockets on Node. A byte stream over binary messages, with backpressure both ways and without
 * compression.
 *
 * There is a half close only in a stack that authenticates, whose transforms signal the end of each side. In any other
 * stack `end` sends a Close, and this side still reads what the peer had sent before its own Close.
 */
import type * as http from "node:http"
import type * as https from "node:https"
import { isIP, type Socket } from "node:net"
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Address from "../Address.ts"
import type { Tls, TransportReason } from "../DialError.ts"
import * as Link from "../Link.ts"
import type { BindReason } from "../ListenError.ts"
import { empty, type Networks } from "../Networks.ts"
import { anonymous } from "../Peer.ts"
import { positive } from "../positive.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import { fdRoom } from "../sockets/fdRoom.ts"
import { type Inherited, InheritedSockets } from "../sockets/inherited.ts"
import { advertisedHosts, boundHosts, isWildcard, plainIp, reachOf } from "../sockets/ip.ts"
import * as Transport from "../Transport.ts"
import { timerMillis } from "../timerMillis.ts"
import { readTexts, unreadable, variables } from "../variables.ts"
import { dial } from "./dial.ts"
import { type Proxies, proxyFor } from "./HttpProxy.ts"
import { listen, type Place } from "./listen.ts"
import { nodeHttp } from "./nodeHttp.ts"
import { isOrigin, type Origins } from "./origin.ts"
import { defaultMaxMessage } from "./portSocket.ts"
import { Pulses } from "./pulses.ts"
import { type Credentials, LiveCredentials, type Pem } from "./tls.ts"
import type { WsPort } from "./wsPort.ts"

export type { Origins } from "./origin.ts"
export { type Credentials, LiveCredentials, type Pem } from "./tls.ts"

/**
 * Options of `ws`, for dialing and listening. Each has a default. Making the layer throws for a number or a duration
 * that is not more than 0.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * A server of the application, to listen on. It has to be listening already, and is never closed. By default each
   * address gets a server of its own.
   */
  readonly server?: http.Server | https.Server
  /**
   * Whether other listeners for upgrade requests of `server` get none for the paths of this layer. By default `false`:
   * they get them too, after it or before it, as guards of yours may have to. Set it where other code answers every
   * upgrade request, as Effect's HTTP server does: its answer would go into the open WebSocket.
   */
  readonly exclusive?: boolean
  /**
   * Answers plain HTTP requests on the servers that the layer makes. By default they get 426 Upgrade Required. If it
   * throws, the error is logged and the request answered with 500. It has to catch the errors of its callbacks and
   * promises itself: such an error would end the process.
   */
  readonly handler?: http.RequestListener
  /**
   * The web pages that may connect. By default all, if the stack authenticates, and otherwise none. A client without an
   * origin is not a web page, and may connect in any case.
   */
  readonly origins?: Origins
  /**
   * The host names that clients may use for this server, or `any`. By default `any`, except for a stack on a loopback
   * address that doesn't authenticate. There it is `loopback`: otherwise a web page could let its own name resolve to
   * 127.0.0.1, and connect under that name.
   */
  readonly hosts?: "any" | "loopback" | ReadonlyArray<string>
  /**
   * The `Origin` header of a dial. By default none, because only web pages have an origin. Making the layer throws for
   * text that can't be a header.
   */
  readonly origin?: string
  /**
   * Headers of a dial's request, such as Authorization. Put secrets in `Redacted`. Every server that is dialed gets all
   * of them, so give them to a Multiserver that dials only the servers that they are for. Making the layer throws for
   * what can't be a header.
   */
  readonly headers?: Headers
  /**
   * The longest message that is read in a stack that doesn't authenticate, in bytes. By default 16 MiB. In a stack that
   * authenticates it is always 128 KiB. A long message takes no memory, because what has arrived of it can be pulled
   * before the rest arrives.
   */
  readonly maxMessage?: number
  /**
   * After how much silence a ping goes out. When two pings in a row get no answer, the connection ends with `TimedOut`.
   * By default 30 seconds. A longer time is rounded up to a multiple of 30 seconds. Infinity: no pings.
   */
  readonly ping?: Duration.Input
  /**
   * The proxies that clients come through. When one of them connects, the source is the rightmost IP in X-Forwarded-For
   * that is not a trusted proxy. By default none, so all clients of a proxy are one source.
   */
  readonly trustedProxies?: Networks
  /**
   * For listening, how long a client may take to send the head of its request. By default 15 seconds, so that the
   * deadline of handshakes comes first. For dialing, how long the server may take to answer. By default as long as the
   * dial may take to connect. Infinity: only the deadlines of the limits apply.
   */
  readonly upgradeTimeout?: Duration.Input
  /** The HTTP proxies to dial through. By default none. */
  readonly proxies?: Proxies
}

/**
 * Headers of an HTTP request, by name.
 *
 * @category options
 * @since 0.1.0
 */
export type Headers = Readonly<Record<string, string | Redacted.Redacted<string>>>

/**
 * Options of `wss`: those of `ws`, and certificates.
 *
 * @category options
 * @since 0.1.0
 */
export interface SecureOptions extends Options {
  /**
   * The server's key and certificate. Listening needs them, unless `server` is given. Credentials from
   * `makeCredentials` can be replaced while it listens.
   */
  readonly credentials?: Credentials | LiveCredentials
  /** The client's key and certificate, to dial servers that ask for one. */
  readonly clientCredentials?: Credentials
  /** The certificates that a dial trusts as roots, instead of Node's own. */
  readonly ca?: Pem | ReadonlyArray<Pem>
}

/**
 * Makes credentials for `layerSecure` that can be replaced while listeners use them, as when a certificate has been
 * renewed. Then run `reload` or `replace`. Fails with `Tls` when the credentials can't be used.
 *
 * @category constructors
 * @since 0.1.0
 */
export const makeCredentials: (credentials: Credentials) => Effect.Effect<LiveCredentials, Tls> = LiveCredentials.make

/**
 * The option `origins`, from `MULTISERVER_ORIGINS`. `undefined`: the variable is not set.
 *
 * @category configuration
 * @since 0.1.0
 */
export const configOrigins: Config.Config<ReadonlyArray<string> | undefined> = readTexts(variables.origins).pipe(
  Config.mapEffect((texts) =>
    texts?.every(isOrigin) === false ? Effect.fail(unreadable(variables.origins)) : Effect.succeed(texts)
  )
)

type Section = Address.Ws | Address.Wss

/** What differs between `ws` and `wss`. */
interface Kind<S extends Section> {
  readonly section: Schema.Codec<S, Address.Section>
  readonly cost: number
  readonly make: (place: Place) => S
  /** The same without checks, for where a connected socket leads. Each check costs some microseconds. */
  readonly remote: (place: Place) => S
  readonly secure: SecureOptions | undefined
}

const define = <S extends Section>(
  { cost, make, remote: sectionOf, section, secure }: Kind<S>,
  options: Options
): ((inherited: Inherited) => Transport.Definition<S>) => {
  const { exclusive = false, handler, headers = {}, hosts, maxMessage = defaultMaxMessage, server } = options
  const { origin, origins } = options
  if (origin !== undefined) nodeHttp.validateHeaderValue("origin", origin)
  for (const [name, value] of Object.entries(headers)) {
    // These throw if the header is invalid. Their errors do not contain its value.
    nodeHttp.validateHeaderName(name)
    nodeHttp.validateHeaderValue(name, Redacted.isRedacted(value) ? Redacted.value(value) : value)
  }
  const { upgradeTimeout } = options
  const ping = Duration.toMillis(options.ping ?? "30 seconds")
  // To Node, a time of 0 is no deadline.
  positive({ maxMessage, ping, upgradeTimeout: Duration.toMillis(upgradeTimeout ?? Duration.infinity) })
  const common = { maxMessage, pulses: new Pulses(ping) }
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
    // By default longer than the deadline of handshakes, which then comes first and has an event.
    upgradeMillis: timerMillis(upgradeTimeout ?? "15 seconds"),
    exclusive,
    handler,
    hosts,
    origins,
    server,
    trustedProxies: options.trustedProxies ?? empty,
    secure: secure && { credentials: secure.credentials }
  }

  /** Makes the link over a port. `at` is where its other end is, and `source` is the source of a newcomer. */
  const linkOver = (port: WsPort, at: Place, source?: string): Effect.Effect<Link.Link, never, Scope.Scope> =>
    Effect.suspend(() => {
      const remote = makeUnchecked(Address.Address, { transport: sectionOf(at), transforms: [] })
      return Link.make(port, { remote, peer: anonymous, source })
    })
  const remoteOf = ({ remoteAddress, remotePort = 0 }: Socket, source: string | undefined): Place => ({
    host: plainIp(remoteAddress ?? source ?? "0.0.0.0"),
    port: remotePort,
    path: "/"
  })
  return (inherited) => ({
    section,
    cost,
    room: fdRoom,
    reach: ({ host }) => reachOf(host),
    // Through a proxy, a name's IPs are not known here, because the proxy looks the name up.
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
      listen(place, { ...listening, inherited }, told, onAccepted, (port, socket, source) =>
        linkOver(port, remoteOf(socket, source), source)
      ).pipe(
        Effect.map(({ ip, port }) => {
          // The bound IP may show that a host name means this device only, or all interfaces.
          const host = ip !== undefined && isWildcard(ip) ? ip : place.host
          return { section: make({ host, port, path: place.path }), ...(ip !== undefined && { reach: reachOf(ip) }) }
        })
      )
  })
}

/** The layer of what `define` has defined. */
const layerOf = <Name extends "ws" | "wss", S extends Section>(
  name: Name,
  defined: (inherited: Inherited) => Transport.Definition<S>
): Layer.Layer<Transport.Transport<Name>> =>
  Layer.effect(
    Transport.Transport(name),
    Effect.map(InheritedSockets, (inherited) => Transport.make(defined(inherited)))
  )

/**
 * The `ws` transport: dials and listens for WebSockets over plain TCP.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Transport.Transport<"ws">> =>
  layerOf(
    "ws",
    define(
      {
        section: Schema.toType(Address.Ws),
        cost: 3,
        make: (place) => new Address.Ws(place),
        remote: ({ host, path, port }) => makeUnchecked(Address.Ws, { _tag: "ws", host, port, path }),
        secure: undefined
      },
      options
    )
  )

/**
 * The `wss` transport: `ws` over TLS.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerSecure = (options: SecureOptions = {}): Layer.Layer<Transport.Transport<"wss">> =>
  layerOf(
    "wss",
    define(
      {
        section: Schema.toType(Address.Wss),
        cost: 4,
        make: (place) => new Address.Wss(place),
        remote: ({ host, path, port }) => makeUnchecked(Address.Wss, { _tag: "wss", host, port, path }),
        secure: options
      },
      options
    )
  )
