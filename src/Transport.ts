/**
 * The contract of a transport: a protocol that opens and accepts byte streams.
 *
 * A transport makes a `Link`: from a synchronous `Port` with `Link.make`, from effects with `Connection.fromEffects`,
 * or from another connection with `Connection.toLink`. The dialer and the listener add deadlines, limits, policy and
 * events. An effect of a transport does nothing before it runs, and releases everything when it is interrupted.
 */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { MultiAddress, Section } from "./Address.ts"
import type { Connection } from "./Connection.ts"
import type { DialError, TransportReason } from "./DialError.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import type { PublicKey } from "./Identity.ts"
import type { Link } from "./Link.ts"
import type { BindReason } from "./ListenError.ts"
import type { Resolve } from "./Resolver.ts"

/** The identifier of the transport called `Name`. */
export interface Transport<in out Name extends string> {
  readonly "~effect-multiserver/Transport": Name
}

/** From how far away an address can be reached: this device, its local network, or anywhere. */
export type Reach = "device" | "local" | "public"

/** What transforms and policies may ask about the transport of a connection. */
export interface Below {
  /** How far the section reaches. Anything within that distance can dial it, or be at its other end. */
  readonly reach: Reach
  /** Whether only this user's own processes can be at the other end. */
  readonly trusted: boolean
}

/** Where a dial leads, for a policy to judge. */
export interface Destination {
  readonly reach: Reach
  /** Whether the dial leads to IPs. If so, policy is also asked about each IP before anything is sent there. */
  readonly toIps: boolean
}

/** Whether a section that reaches as far as `reach` can be dialed from within `scope`. */
export const within = (scope: Reach, reach: Reach): boolean => distances[scope] <= distances[reach]
const distances: Record<Reach, number> = { device: 0, local: 1, public: 2 }

/** What a transport is told about the stack over it. */
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
 * Why a transport's own rules turn a newcomer away. `Origin`: it is a web page that may not connect. `Host`: it called
 * this server by a name that is not the server's. `ProxyHeader`: a trusted proxy didn't say whose connection it is.
 * `PlainHttp`: it asked for a page where there are only WebSockets. `UnknownPath`: it asked for a WebSocket where there
 * is none. `BadRequest`: what it sent is not a request, or it left before the request was complete.
 */
export type TurnedAway = "Origin" | "Host" | "ProxyHeader" | "PlainHttp" | "UnknownPath" | "BadRequest"

/** What the listener tells a transport. */
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

/** A newcomer that is not a connection yet. */
export interface Arriving {
  /** It has become a connection: as `OnAccepted`, with what is known by now. */
  readonly accept: OnAccepted
  /**
   * It is here for something else than a connection, so it has no deadline of the listener's. It counts until `gone`,
   * and is among the first that are ended when there is no room. Pass `source` if it was not known before. `false`:
   * policy denies that source, so give it nothing.
   */
  readonly stay: (source?: string) => boolean
  /** It has left. */
  readonly gone: () => void
}

/** What the dialer tells a transport. */
export interface DialOptions extends StackOptions {
  /** Whether policy allows this IP. To be asked about each IP, after the name look-up. */
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
 * A stream that has arrived. The effect takes it over, and is run once. It fails when the stream turns out to be
 * unusable.
 */
export type Accepted = Effect.Effect<Link, HandshakeError, Scope.Scope>

/** What is bound, until the scope closes. Then it accepts no more, and accepted connections stay open. */
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
 */
export type OnAccepted = (accepted: Accepted, source: string | undefined, origin?: string) => boolean

type Dial = (options: DialOptions) => Effect.Effect<Link, TransportReason, Scope.Scope>
type Listen = (onAccepted: OnAccepted, options: ListenOptions) => Effect.Effect<Bound, BindReason, Scope.Scope>

/** What a transport gives to a Multiserver. Made by `make`. */
export interface Shape {
  /** How long one attempt to connect may take. */
  readonly connectTimeout: Duration.Duration
  /** In a race, addresses of transports with a lower cost go first. */
  readonly cost: number
  readonly below: (section: Section) => Below
  /** Where a dial of the section leads. */
  readonly destination: (section: Section) => Destination
  /** The sections to bind for a section so that it is reached from `scope` only. */
  readonly narrow: (section: Section, scope: Reach) => ReadonlyArray<Section>
  /**
   * A bound section as others can dial it from within `scope`. Empty: they can't. `reach` is how far it reaches, where
   * the section doesn't say.
   */
  readonly advertise: (
    section: Section,
    scope: Reach,
    external: ReadonlyArray<string>,
    reach?: Reach
  ) => ReadonlyArray<Section>
  /** A failure says why the section can't be dialed. */
  readonly dial: (section: Section) => Result.Result<Dial, string>
  /** A failure says why the section can't be listened on. */
  readonly listen: (section: Section) => Result.Result<Listen, string>
  /** How many connections the process has file descriptors for, across all transports. */
  readonly room: () => number
  /** Whether its connections are sockets of this process, whose number is limited. If so, a dial waits for a place. */
  readonly opensSockets: boolean
}

/** The service of the transport called `name`. */
export const Transport = <const Name extends string>(name: Name): Context.Service<Transport<Name>, Shape> =>
  Context.Service<Transport<Name>, Shape>(`effect-multiserver/Transport/${name}`)

/** What the author of a transport provides. `A` is the decoded section. */
export interface Definition<A> {
  /**
   * Decodes the section: `Schema.toType(Address.Net)`, or `Address.section(name, schema)` for a protocol of your own.
   */
  readonly section: Schema.Codec<A, Section>
  /** By default 6 seconds. */
  readonly connectTimeout?: Duration.Input
  /** What a connection costs, compared with other transports: 0 in memory, 2 over TCP, 9 over Tor. By default 5. */
  readonly cost?: number
  /** How far the section reaches. */
  readonly reach: (section: A) => Reach
  /** Whether only this user's own processes can be at the other end. By default `false`. */
  readonly trusted?: boolean
  /**
   * Whether a dial leads to IPs, and asks `permits` about each of them. A function where that depends on the section:
   * when a proxy looks up some names, for example. By default `false`: then policy judges the section by its reach, and
   * no allow list of networks contains it.
   */
  readonly toIps?: boolean | ((section: A) => boolean)
  /**
   * The sections to bind so that the section is reached from `scope` only: for transports that can bind several
   * interfaces at once.
   */
  readonly narrow?: (section: A, scope: Reach) => ReadonlyArray<Section>
  /**
   * A bound section as others can dial it from within `scope`. `external` are the hosts by which others reach this
   * machine, where the application knows them. `reach` is how far the bound section reaches. By default the section
   * itself, in each scope that it reaches.
   */
  readonly advertise?: (
    section: A,
    scope: Reach,
    external: ReadonlyArray<string>,
    reach: Reach
  ) => ReadonlyArray<Section>
  readonly dial: (section: A, options: DialOptions) => ReturnType<Dial>
  /** Without it, the transport only dials. */
  readonly listen?: (section: A, onAccepted: OnAccepted, options: ListenOptions) => ReturnType<Listen>
  /** Why a section can't be dialed although it decodes. Checked before any I/O. By default every section can be. */
  readonly notDialable?: (section: A) => string | undefined
  /**
   * How many connections the process has file descriptors for, across all transports. Read once. By default there is no
   * limit, and a dial waits for no place.
   */
  readonly room?: () => number
}

/** Makes a transport from its definition. */
export const make = <A>(definition: Definition<A>): Shape => {
  const decode = Schema.decodeUnknownResult(definition.section)
  const decoded = (section: Section): Result.Result<A, string> =>
    Result.mapError(decode(section), (error) => error.message)
  const reachOf = (section: Section): Reach =>
    Result.match(decoded(section), { onSuccess: definition.reach, onFailure: () => "public" })
  return {
    cost: definition.cost ?? 5,
    connectTimeout: Duration.fromInputUnsafe(definition.connectTimeout ?? "6 seconds"),
    room: definition.room ?? (() => Number.POSITIVE_INFINITY),
    opensSockets: definition.room !== undefined,
    below: (section) => ({
      // A getter, because most transforms don't ask.
      get reach(): Reach {
        return reachOf(section)
      },
      trusted: definition.trusted ?? false
    }),
    destination: (section) => ({
      // Getters, so that the author's code runs only if the policy asks. If that code throws, the policy denies.
      get reach(): Reach {
        return reachOf(section)
      },
      get toIps(): boolean {
        const { toIps = false } = definition
        if (typeof toIps === "boolean") return toIps
        return Result.match(decoded(section), { onSuccess: toIps, onFailure: () => false })
      }
    }),
    narrow: (section, scope) => {
      const own = decoded(section)
      return Result.isSuccess(own) ? (definition.narrow?.(own.success, scope) ?? [section]) : [section]
    },
    advertise: (section, scope, external, reach) => {
      const own = decoded(section)
      if (Result.isFailure(own)) return []
      const known = reach ?? definition.reach(own.success)
      if (definition.advertise !== undefined) return definition.advertise(own.success, scope, external, known)
      return within(scope, known) ? [section] : []
    },
    dial: (section) =>
      Result.flatMap(decoded(section), (own) => {
        const reason = definition.notDialable?.(own)
        return reason === undefined ? Result.succeed((options) => definition.dial(own, options)) : Result.fail(reason)
      }),
    listen: (section) => {
      const { listen } = definition
      return listen === undefined
        ? Result.fail("its transport only dials")
        : Result.map(decoded(section), (own) => (onAccepted, options) => listen(own, onAccepted, options))
    }
  }
}

/** The layer of a transport whose definition needs nothing. */
export const layer = <const Name extends string, A>(
  name: Name,
  definition: Definition<A>
): Layer.Layer<Transport<Name>> => Layer.succeed(Transport(name), make(definition))
