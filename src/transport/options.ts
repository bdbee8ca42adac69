/** What the dialer and the listener tell a transport, and what it gives them. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { MultiAddress, Section } from "../Address.ts"
import type { Connection } from "../Connection.ts"
import type { DialError } from "../DialError.ts"
import type { HandshakeError } from "../HandshakeError.ts"
import type { PublicKey } from "../Identity.ts"
import type { Link } from "../Link.ts"
import type { Resolve } from "../Resolver.ts"
import type { Reach } from "./reach.ts"

/**
 * What `permits` is asked about when a dial leads to an IP that this program can't know.
 *
 * @category constants
 * @since 0.1.0
 */
export const unknownIp = "unknown"

/**
 * What a transport is told about the stack over it.
 *
 * @category options
 * @since 0.1.0
 */
export interface StackOptions {
  /** Whether a transform of the stack authenticates the peer. Until then the peer has proved nothing. */
  readonly authenticates: boolean
  /**
   * The key that the stack names: for a dial the peer's, for a listener this side's own. `undefined`: it names none.
   */
  readonly key: PublicKey | undefined
  /** Dials with the same Multiserver: for a transport that runs through another peer. */
  readonly dial: (addresses: MultiAddress) => Effect.Effect<Connection, DialError, Scope.Scope>
}

/**
 * What the dialer tells a transport.
 *
 * @category options
 * @since 0.1.0
 */
export interface DialOptions extends StackOptions {
  /**
   * Whether policy allows this IP. To be asked about each IP, after the name look-up; and about `unknownIp`, where the
   * platform looks the name up by itself and doesn't say what it found.
   */
  readonly permits: (ip: string) => boolean
  /** The application's resolver. `undefined`: there is none, so ask the system's. */
  readonly resolve: Resolve | undefined
  /** Runs a name look-up with a deadline of its own. The time to connect begins anew after it. */
  readonly lookingUp: <A, E, R>(lookup: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Asks for a place for one more socket, when several IPs of a name are tried at once. The returned function gives the
   * place back; further calls do nothing. `undefined`: there is no place now.
   */
  readonly spare: () => (() => void) | undefined
}

/**
 * Why a transport's own rules turn a newcomer away. `Origin`: it is a web page that may not connect. `Host`: it called
 * this server by a name that is not the server's. `ProxyHeader`: a trusted proxy didn't say whose connection it is.
 * `PlainHttp`: it asked for a page where there are only WebSockets. `UnknownPath`: it asked for a WebSocket where there
 * is none. `BadRequest`: what it sent is not a request, or it left before the request was complete.
 *
 * @category models
 * @since 0.1.0
 */
export type TurnedAway = "Origin" | "Host" | "ProxyHeader" | "PlainHttp" | "UnknownPath" | "BadRequest"

/**
 * What the listener tells a transport.
 *
 * @category options
 * @since 0.1.0
 */
export interface ListenOptions extends StackOptions {
  /**
   * Called for each newcomer that the transport's own rules turned away: with the reason, its source, and the origin of
   * the web page that it says it is.
   */
  readonly onRefused: (why: TurnedAway, source: string | undefined, origin: string | undefined) => void
  /** Called for each newcomer that was gone before the transport could read its source. */
  readonly onVanished: () => void
  /**
   * For a transport that has to read something before it knows the source of a newcomer, or whether it becomes a
   * connection. The newcomer gets a place at its accept, with the same limits and deadline as any other. `source` is as
   * in `OnAccepted`, and `undefined` while it is not known.
   *
   * `end` is called to end the newcomer at once. `hasSpoken` is called at most once, when the newcomer leaves before
   * its handshakes are done: one that has sent something counts for the rate of its source. If either throws, that is
   * logged, and no other newcomer is affected.
   *
   * Returns `undefined` when policy denies the source, or when there is no room. Then the transport closes it at once.
   */
  readonly onArriving: (source: string | undefined, end: () => void, hasSpoken?: () => boolean) => Arriving | undefined
  /**
   * For a socket that outlives its connection for a moment, because its peer has yet to learn how the connection ended.
   * The socket counts as a connection until the returned function is called; a second call does nothing. `end` is
   * called to end the socket at once, when its place is needed.
   */
  readonly onLingering: (end: () => void) => () => void
}

/**
 * A newcomer that is not a connection yet.
 *
 * @category models
 * @since 0.1.0
 */
export interface Arriving {
  /** It has become a connection: as `OnAccepted`, with what is known by now. */
  readonly accept: OnAccepted
  /**
   * Keeps a newcomer that will not become a connection, such as a plain HTTP request. It has no handshake deadline,
   * counts until `gone`, and is among the first that are ended when there is no room. Pass `source` if it was not known
   * before. `false`: policy denies that source, so give it nothing.
   */
  readonly stay: (source?: string) => boolean
  /** It has left. */
  readonly gone: () => void
}

/**
 * A stream that has arrived. The effect takes it over, and is run once. It fails when the stream turns out to be
 * unusable.
 *
 * @category models
 * @since 0.1.0
 */
export type Accepted = Effect.Effect<Link, HandshakeError, Scope.Scope>

/**
 * What is bound, until the scope closes. Then it accepts no more, and accepted connections stay open.
 *
 * @category models
 * @since 0.1.0
 */
export interface Bound {
  /** The section, with what the system has chosen filled in, such as the port. */
  readonly section: Section
  /** How far it reaches, where the section doesn't say: a host name may turn out to be a loopback address. */
  readonly reach?: Reach
}

/**
 * Called for each newcomer. The limits on sources count newcomers by `source`: an IP, for example, or a key.
 * `undefined`: it has none. `origin` is the origin of the web page, where it says one. On `false` the transport closes
 * the newcomer at once. On `true` the listener runs `accepted`.
 *
 * @category models
 * @since 0.1.0
 */
export type OnAccepted = (accepted: Accepted, source: string | undefined, origin?: string) => boolean
