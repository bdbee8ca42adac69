/**
 * The contract of a transform: a protocol that wraps a link, with an outbound and an inbound side.
 *
 * A transform is `Link -> Effect<Link, HandshakeError, Scope>`, so a stack is `flatMap`. Timeouts, limits and events
 * are around the whole stack and never inside a protocol. Most transforms are a handshake and a codec: `fromCodec`
 * makes a side from these. `fromConnection` makes one from effects, for a protocol that can't be synchronous.
 * `docs/writing-a-protocol.md` builds a transform.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import { type Section, sectionName } from "./Address.ts"
import * as Codec from "./Codec.ts"
import * as Connection from "./Connection.ts"
import { effectOf } from "./effectOf.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import type { PublicKey } from "./Identity.ts"
import * as Link from "./Link.ts"
import type { Below } from "./Transport.ts"

export type { Wire } from "./Codec.ts"

/**
 * The identifier of the transform called `Name`.
 *
 * @category type IDs
 * @since 0.1.0
 */
export interface Transform<in out Name extends string> {
  readonly "~effect-multiserver/Transform": Name
}

/**
 * One side of a transform, for one section of an address.
 *
 * @category models
 * @since 0.1.0
 */
export type Wrap = (link: Link.Link) => Effect.Effect<Link.Link, HandshakeError, Scope.Scope>

/**
 * Why a section can't be used in its stack.
 *
 * @category models
 * @since 0.1.0
 */
export interface Refusal {
  /** `unusable`: because of the section itself. `insecure`: because of the transport below. */
  readonly why: "unusable" | "insecure"
  readonly detail: string
}

/**
 * What a transform gives to a Multiserver. Made by `make`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Shape {
  /** Whether it authenticates the peer, and keeps the stream secret and whole. */
  readonly authenticates: boolean
  /** See `Definition`. */
  readonly strength: number
  /**
   * One side of the transform, for a section. `below` is the transport. `above` has the names of the transforms on top
   * of this one, the next one first. A failure says why the section can't be used. No I/O.
   */
  readonly outbound: (section: Section, below: Below, above: ReadonlyArray<string>) => Result.Result<Wrap, Refusal>
  readonly inbound: (section: Section, below: Below, above: ReadonlyArray<string>) => Result.Result<Wrap, Refusal>
  /** The section as it is advertised: with what a dialer needs filled in, and nothing secret. */
  readonly advertise: (section: Section) => Section
  /** The key that the section asks for, or this side's own where the section advertises it. */
  readonly key: (section: Section) => PublicKey | undefined
}

/** The service of the transform called `name`. */
export const Transform = <const Name extends string>(name: Name): Context.Service<Transform<Name>, Shape> =>
  Context.Service<Transform<Name>, Shape>(
    `effect-multiserver/Transform/${name} (docs/layers.md says which layer gives it)`
  )

/**
 * What the author of a transform provides. `A` is the decoded section.
 *
 * @category options
 * @since 0.1.0
 */
export interface Definition<A> {
  /**
   * Decodes the section: `Schema.toType(Address.Shs)`, or `Address.section(name, schema)` for a protocol of your own.
   */
  readonly section: Schema.Codec<A, Section>
  readonly authenticates: boolean
  /**
   * How well it protects, compared with other transforms: of the addresses of a peer, the plan `strongest` tries the
   * strongest first. `shs` has 1, `noise` 2, `noisepq` 3. By default 1 for a transform that authenticates, otherwise 0.
   */
  readonly strength?: number
  /**
   * One side of the transform. `below` is the transport. `above` has the names of the transforms on top of this one,
   * the next one first. A handshake can bind them, so that both sides are sure to mean the same stack.
   */
  readonly outbound: (
    link: Link.Link,
    section: A,
    below: Below,
    above: ReadonlyArray<string>
  ) => Effect.Effect<Link.Link, HandshakeError, Scope.Scope>
  /** By default the transform only dials. */
  readonly inbound?: (
    link: Link.Link,
    section: A,
    below: Below,
    above: ReadonlyArray<string>
  ) => Effect.Effect<Link.Link, HandshakeError, Scope.Scope>
  /** The key in the section. By default there is none. */
  readonly key?: (section: A) => PublicKey | undefined
  /** The section as it is advertised. By default as it is. */
  readonly advertise?: (section: A) => Section
  /** Why a section can't be dialed although it decodes. Checked before any I/O. By default every section can be. */
  readonly notDialable?: (section: A) => string | undefined
  /**
   * Why a section can't be listened on although it decodes: because its key is not the listener's, for example. By
   * default every section can be.
   */
  readonly notListenable?: (section: A) => string | undefined
  /**
   * Why the transform is not safe over this transport: because others than the intended peer get in. By default it is
   * safe.
   */
  readonly insecure?: (below: Below) => string | undefined
}

/**
 * Makes a transform from its definition.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <A>(definition: Definition<A>): Shape => {
  const decode = Schema.decodeUnknownResult(definition.section)
  const refuse = (why: Refusal["why"]) => (detail: string) => Result.fail({ why, detail })
  const decoded = (section: Section): Result.Result<A, Refusal> =>
    Result.mapError(decode(section), (error): Refusal => {
      const detail = `its section ${sectionName(section)}: ${error.message}`
      return { why: "unusable", detail }
    })
  const checked = (section: Section, below: Below, notUsable?: (section: A) => string | undefined) =>
    Result.flatMap(decoded(section), (own): Result.Result<A, Refusal> => {
      const insecure = definition.insecure?.(below)
      if (insecure !== undefined) return refuse("insecure")(insecure)
      const unusable = notUsable?.(own)
      return unusable === undefined ? Result.succeed(own) : refuse("unusable")(unusable)
    })
  return {
    authenticates: definition.authenticates,
    strength: definition.strength ?? (definition.authenticates ? 1 : 0),
    outbound: (section, below, above) =>
      Result.map(
        checked(section, below, definition.notDialable),
        (own) => (link) => effectOf("the transform", definition.outbound(link, own, below, above))
      ),
    inbound: (section, below, above) => {
      const { inbound } = definition
      return inbound === undefined
        ? refuse("unusable")("its transform only dials")
        : Result.map(
            checked(section, below, definition.notListenable),
            (own) => (link) => effectOf("the transform", inbound(link, own, below, above))
          )
    },
    advertise: (section) => {
      const own = decoded(section)
      return Result.isSuccess(own) ? (definition.advertise?.(own.success) ?? section) : section
    },
    key: (section) => {
      const own = definition.key === undefined ? undefined : decoded(section)
      return own !== undefined && Result.isSuccess(own) ? definition.key?.(own.success) : undefined
    }
  }
}

/**
 * The layer of a transform whose definition needs nothing.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Name extends string, A>(
  name: Name,
  definition: Definition<A>
): Layer.Layer<Transform<Name>> => Layer.succeed(Transform(name), make(definition))

// -----------------------------------------------------------------------------
// handshake and codec
// -----------------------------------------------------------------------------

/**
 * The result of a handshake.
 *
 * @category models
 * @since 0.1.0
 */
export interface Handshaken extends Partial<Omit<Link.Who, "remote">> {
  /** This transform's section in the address of the peer, with the key that the peer has proved. */
  readonly section: Section
  /**
   * Without a codec, the bytes after the handshake pass unchanged: for a protocol that only exchanges a few messages
   * first.
   */
  readonly codec?: Codec.Codec
}

/**
 * Makes one side of a transform from its handshake. Bytes that the handshake doesn't read go to the codec.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromCodec = <E, R>(
  link: Link.Link,
  handshake: (wire: Codec.Wire) => Effect.Effect<Handshaken, E, R>
): Effect.Effect<Link.Link, E, R> =>
  Effect.suspend(() => {
    const wire = Codec.wire(link)
    return Effect.map(effectOf("the handshake of the transform", handshake(wire)), ({ codec, section, ...who }) =>
      Link.over(link, Codec.port(link, codec, wire.leftover()), { ...who, remote: link.remote.with(section) })
    )
  })

// -----------------------------------------------------------------------------
// effects
// -----------------------------------------------------------------------------

/**
 * Makes one side of a transform from effects over a connection, which only the transform uses. `section` is what it
 * adds to the peer's address. What the effects acquire in their scope is released after the goodbye has left.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromConnection = <E, R>(
  link: Link.Link,
  section: Section,
  wrap: (connection: Connection.Connection) => Effect.Effect<Connection.Effects, E, R>
): Effect.Effect<Link.Link, E, R> =>
  Effect.suspend(() =>
    Effect.flatMap(effectOf("the transform", wrap(Connection.within(link))), (effects) =>
      Connection.wrapEffects(link, effects, { remote: link.remote.with(section) })
    )
  )
