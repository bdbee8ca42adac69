/**
 * The contract of a transport: a protocol that opens and accepts byte streams.
 *
 * A transport makes a `Link`: from a synchronous `Port` with `Link.make`, from effects with `Connection.fromEffects`,
 * or from another connection with `Connection.toLink`. Deadlines, limits, policy and events are around it. Nothing
 * happens before the effects run, and interruption takes everything back.
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

/** Where a connection runs, for the transforms over it to judge. */
export interface Below {
  /** How far the section reaches: whoever is that near can dial it, or can be at its other end. */
  readonly reach: Reach
  /** Whether only this user's own processes can be at the other end. */
  readonly trusted: boolean
}

/** Where a dial leads, for a policy to judge. */
export interface Destination {
  readonly reach: Reach
  /** Whether it leads to IPs. Policy is asked for each of them, too, before anything is sent there. */
  readonly toIps: boolean
}

/** Whether what reaches as far as `reach` can be dialed from within `scope`. */
export const within = (scope: Reach, reach: Reach): boolean => distances[scope] <= distances[reach]
const distances: Record<Reach, number> = { device: 0, local: 1, public: 2 }

/** What a transport is told of the stack over it. */
export interface StackOptions {
  /** Whether a transform over it authenticates: then what arrives is worth little until that is done. */
  readonly authenticates: boolean
  /**
   * The key that the stack over it asks for: of a dial the peer's, of a listener this side's own. `undefined` where it
   * has none.
   */
  readonly key: PublicKey | undefined
  /** A dial of the same Multiserver, for a transport that goes through another peer. */
  readonly dial: (addresses: MultiAddress) => Effect.Effect<Connection, DialError, Scope.Scope>
}

/**
 * Why a transport's own rules turn a newcomer away. `Origin`: it is a web page that may not connect. `Host`: it called
 * this server by a name that is not its own. `ProxyHeader`: a proxy didn't say who it is. `PlainHttp`: it asked for a
 * page where there are only WebSockets. `UnknownPath`: it asked for a WebSocket where there is none. `BadRequest`: what
 * it said is no request, or it left before that was whole.
 */
export type TurnedAway = "Origin" | "Host" | "ProxyHeader" | "PlainHttp" | "UnknownPath" | "BadRequest"

/** What the listener tells a transport. */
export interface ListenOptions extends StackOptions {
  /**
   * Hears of each newcomer that the transport's own rules turned away: why, its source, and the web page that it said
   * it was.
   */
  readonly onRefused: (why: TurnedAway, source: string | undefined, origin: string | undefined) => void
  /** Hears of each newcomer that was gone again before it could be asked who it is. */
  readonly onVanished: () => void
  /**
   * For a transport that has something to read before it knows who has come: a place from the moment of its accept,
   * with limits and deadline as any. `source` as in `OnAccepted`, `undefined` while it is not known. `end` is called to
   * end it, at once. `hasSpoken` is asked at most once, when it leaves before its handshakes are done, because who has
   * said something counts for the rate of its source. What either throws is logged, and harms nobody else. `undefined`:
   * policy denies the source, or there is no room, and the transport closes it at once.
   */
  readonly onArriving: (source: string | undefined, end: () => void, hasSpoken?: () => boolean) => Arriving | undefined
  /**
   * For a socket that outlives its connection for a moment, because its peer has yet to hear how it ended. It counts as
   * a connection until the function that this gives is called; a second call does nothing. `end` is called to end it at
   * once, when its room is needed.
   */
  readonly onLingering: (end: () => void) => () => void
}

/** Who has arrived, and is not a connection yet. */
export interface Arriving {
  /** Now it is: as `OnAccepted`, with what is known by now. */
  readonly accept: OnAccepted
  /**
   * It is here for something else, so its deadline is not ours. It counts until `gone`, and is among the first that
   * make room when there is none. `source` where it was not known before: on `false` policy denies that, and it gets
   * nothing.
   */
  readonly stay: (source?: string) => boolean
  /** It went away. */
  readonly gone: () => void
}

/** What the dialer tells a transport. */
export interface DialOptions extends StackOptions {
  /** Whether policy allows this resolved IP; to be asked after name lookup, for each. */
  readonly permits: (ip: string) => boolean
  /** The application's resolver. `undefined` where it has none: then the transport asks the system's. */
  readonly resolve: Resolve | undefined
  /** Runs a name look-up: it has a deadline of its own, and the time to connect begins anew after it. */
  readonly lookingUp: <A, E, R>(lookup: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /**
   * Room for one more socket than one, while several IPs of a name are tried at once; the answer gives it back, once or
   * more often. `undefined`: there is none now.
   */
  readonly spare: () => (() => void) | undefined
}

/** A stream that has arrived. Running the effect, once, takes it over; it may turn out to be none. */
export type Accepted = Effect.Effect<Link, HandshakeError, Scope.Scope>

/** What is bound, until the scope closes: closing it stops accepting, and leaves accepted connections alone. */
export interface Bound {
  /** The section with what the system has chosen, such as the port. */
  readonly section: Section
  /** How far it reaches, where that is known better than the section says it: a name may be this device's only. */
  readonly reach?: Reach
}

/**
 * Hears of each newcomer: `source` groups newcomers for the limits on sources, an IP for example, or a key; `undefined`
 * where there is none. `origin` is the web page, where one says so. On `false` the transport closes it at once; on
 * `true` the hearer runs `accepted`.
 */
export type OnAccepted = (accepted: Accepted, source: string | undefined, origin?: string) => boolean

type Dial = (options: DialOptions) => Effect.Effect<Link, TransportReason, Scope.Scope>
type Listen = (onAccepted: OnAccepted, options: ListenOptions) => Effect.Effect<Bound, BindReason, Scope.Scope>

/** What a transport gives to a Multiserver. Made by `make`. */
export interface Shape {
  /** How long one attempt to connect may take. */
  readonly connectTimeout: Duration.Duration
  /** When addresses race, the lower goes first. */
  readonly cost: number
  readonly below: (section: Section) => Below
  /** Where a dial of the section leads. */
  readonly destination: (section: Section) => Destination
  /** What to bind for a section so that it is reached from `scope` only. */
  readonly narrow: (section: Section, scope: Reach) => ReadonlyArray<Section>
  /**
   * A bound section as others can dial it from within `scope`; empty when they can't. `reach` is how far what is bound
   * reaches, where that is known better than the section says it.
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
  /** How many connections the system has room for, of all transports together. */
  readonly room: () => number
  /**
   * Whether its connections are sockets of this process, which are bounded in number: then a dial waits for a place.
   */
  readonly opensSockets: boolean
}

/** The service of the transport called `name`. */
export const Transport = <const Name extends string>(name: Name): Context.Service<Transport<Name>, Shape> =>
  Context.Service<Transport<Name>, Shape>(`effect-multiserver/Transport/${name}`)

/** What the author of a transport says. `A` is the section, decoded. */
export interface Definition<A> {
  /**
   * Decodes the section: `Schema.toType(Address.Net)`, or `Address.section(name, schema)` for a protocol of your own.
   */
  readonly section: Schema.Codec<A, Section>
  /** By default 6 seconds. */
  readonly connectTimeout?: Duration.Input
  /** What a connection costs, against others: 0 in memory, 2 over TCP, 9 over Tor. By default 5. */
  readonly cost?: number
  /** How far the section reaches. */
  readonly reach: (section: A) => Reach
  /** Whether only this user's own processes can be at the other end. By default not. */
  readonly trusted?: boolean
  /**
   * Whether a dial leads to IPs and asks `permits` for each of them; a function where that depends on the section, as
   * when a proxy looks up some names. By default not: then policy judges the section by its reach, and no allow list of
   * networks has it.
   */
  readonly toIps?: boolean | ((section: A) => boolean)
  /**
   * What to bind for a section so that it is reached from `scope` only: for those that bind several interfaces at once.
   */
  readonly narrow?: (section: A, scope: Reach) => ReadonlyArray<Section>
  /**
   * A bound section as others can dial it. `external` are the hosts by which others reach this machine, when that is
   * known better than its interfaces do, and `reach` is what is bound's. By default the section itself, in each scope
   * that it reaches.
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
  /** Why a section that decodes can't be dialed all the same, before any I/O. By default any can. */
  readonly notDialable?: (section: A) => string | undefined
  /**
   * How many connections the system has room for, of all transports together; asked once. By default there is no bound,
   * and a dial waits for no place.
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
      // Most transforms don't ask.
      get reach(): Reach {
        return reachOf(section)
      },
      trusted: definition.trusted ?? false
    }),
    destination: (section) => ({
      // A policy that does not ask runs none of the author's code; what that throws, denies.
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
