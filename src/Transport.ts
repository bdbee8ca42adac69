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
import { type Section, sectionName } from "./Address.ts"
import type { TransportReason } from "./DialError.ts"
import { effectOf } from "./effectOf.ts"
import type { Link } from "./Link.ts"
import type { BindReason } from "./ListenError.ts"
import type { Bound, DialOptions, ListenOptions, OnAccepted } from "./transport/options.ts"
import { type Below, type Destination, type Reach, within } from "./transport/reach.ts"

export * from "./transport/options.ts"
export * from "./transport/reach.ts"

/**
 * The identifier of the transport called `Name`.
 *
 * @category services
 * @since 0.1.0
 */
export interface Transport<in out Name extends string> {
  readonly "~effect-multiserver/Transport": Name
}

type Dial = (options: DialOptions) => Effect.Effect<Link, TransportReason, Scope.Scope>
type Listen = (onAccepted: OnAccepted, options: ListenOptions) => Effect.Effect<Bound, BindReason, Scope.Scope>

/**
 * What a transport gives to a Multiserver. Made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  /** How long one attempt to connect may take. */
  readonly connectTimeout: Duration.Duration
  /** In a race, addresses of transports with a lower cost go first. */
  readonly cost: number
  readonly below: (section: Section) => Below
  /** Where a dial of the section leads. */
  readonly destination: (section: Section) => Destination
  /** The sections to bind instead of `section`, so that it is reached from `scope` only. */
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
  Context.Service<Transport<Name>, Shape>(
    `effect-multiserver/Transport/${name} (docs/layers.md says which layer gives it)`
  )

/**
 * What the author of a transport provides. `A` is the decoded section.
 *
 * @category models
 * @since 0.1.0
 */
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
  /**
   * Whether only this user's own processes can be at the other end. A function where that depends on the section. By
   * default `false`.
   */
  readonly trusted?: boolean | ((section: A) => boolean)
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
  readonly dial: (section: A, options: DialOptions) => Effect.Effect<Link, TransportReason, Scope.Scope>
  /** Without it, the transport only dials. */
  readonly listen?: (
    section: A,
    onAccepted: OnAccepted,
    options: ListenOptions
  ) => Effect.Effect<Bound, BindReason, Scope.Scope>
  /** Why a section can't be dialed although it decodes. Checked before any I/O. By default every section can be. */
  readonly notDialable?: (section: A) => string | undefined
  /**
   * How many connections the process has file descriptors for, across all transports. Read once. By default there is no
   * limit, and a dial waits for no place.
   */
  readonly room?: () => number
}

/**
 * Makes a transport from its definition.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(definition: Definition<A>): Shape => {
  const decode = Schema.decodeUnknownResult(definition.section)
  const decoded = (section: Section): Result.Result<A, string> =>
    Result.mapError(decode(section), (error) => `its section ${sectionName(section)}: ${error.message}`)
  const reachOf = (section: Section): Reach =>
    Result.match(decoded(section), { onSuccess: definition.reach, onFailure: () => "public" })
  return {
    cost: definition.cost ?? 5,
    connectTimeout: Duration.fromInputUnsafe(definition.connectTimeout ?? "6 seconds"),
    room: definition.room ?? (() => Number.POSITIVE_INFINITY),
    opensSockets: definition.room !== undefined,
    below: (section) => ({
      // Getters, because most transforms don't ask.
      get reach(): Reach {
        return reachOf(section)
      },
      get trusted(): boolean {
        const { trusted = false } = definition
        if (typeof trusted === "boolean") return trusted
        return Result.match(decoded(section), { onSuccess: trusted, onFailure: () => false })
      }
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
        return reason === undefined
          ? Result.succeed((options) => effectOf("the dial of the transport", definition.dial(own, options)))
          : Result.fail(reason)
      }),
    listen: (section) => {
      const { listen } = definition
      return listen === undefined
        ? Result.fail("its transport only dials")
        : Result.map(
            decoded(section),
            (own) => (onAccepted, options) => effectOf("the listen of the transport", listen(own, onAccepted, options))
          )
    }
  }
}

/**
 * The layer of a transport whose definition needs nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Name extends string, A>(
  name: Name,
  definition: Definition<A>
): Layer.Layer<Transport<Name>> => Layer.succeed(Transport(name), make(definition))
