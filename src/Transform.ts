/**
 * The contract of a transform: a protocol that wraps a link, with an outbound and an inbound side.
 *
 * A transform is `Link -> Effect<Link, HandshakeError, Scope>`, so a stack is `flatMap`. Timeouts, limits and events
 * are around the stack and never inside a protocol. Most transforms are a handshake and a codec, which `fromCodec`
 * takes; what can't be synchronous is made of effects, with `fromConnection`. `docs/writing-a-protocol.md` builds one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Section } from "./Address.ts"
import * as Codec from "./Codec.ts"
import * as Connection from "./Connection.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import type { PublicKey } from "./Identity.ts"
import * as Link from "./Link.ts"
import type { Below } from "./Transport.ts"

export type { Wire } from "./Codec.ts"

/** The identifier of the transform called `Name`. */
export interface Transform<in out Name extends string> {
  readonly "~effect-multiserver/Transform": Name
}

/** One side of a transform, for one section of an address. */
export type Wrap = (link: Link.Link) => Effect.Effect<Link.Link, HandshakeError, Scope.Scope>

/** Why a section can't be used in its stack. */
export interface Refusal {
  /** `unusable`: the section itself. `insecure`: what it would be laid over. */
  readonly why: "unusable" | "insecure"
  readonly detail: string
}

/** What a transform gives to a Multiserver. Made by `make`. */
export interface Shape {
  /** Whether the peer is authenticated, and the stream kept secret and whole, from here on. */
  readonly authenticates: boolean
  /**
   * One side for a section, over a transport, and under the transforms whose names are `above`, the next one first; a
   * failure says why it can't be. Nothing is done yet.
   */
  readonly outbound: (section: Section, below: Below, above: ReadonlyArray<string>) => Result.Result<Wrap, Refusal>
  readonly inbound: (section: Section, below: Below, above: ReadonlyArray<string>) => Result.Result<Wrap, Refusal>
  /** The section as it is advertised: with what a dialer has to know filled in, and nothing secret. */
  readonly advertise: (section: Section) => Section
  /** The key that the section asks for, or shows. */
  readonly key: (section: Section) => PublicKey | undefined
}

/** The service of the transform called `name`. */
export const Transform = <const Name extends string>(name: Name): Context.Service<Transform<Name>, Shape> =>
  Context.Service<Transform<Name>, Shape>(`effect-multiserver/Transform/${name}`)

/** What the author of a transform says. `A` is the section, decoded. */
export interface Definition<A> {
  /**
   * Decodes the section: `Schema.toType(Address.Shs)`, or `Address.section(name, schema)` for a protocol of your own.
   */
  readonly section: Schema.Codec<A, Section>
  readonly authenticates: boolean
  /**
   * One side, over the transport `below`. `above` has the names of the transforms that the stack lays over this one,
   * the next one first. A handshake can bind them, so that both sides are sure to mean the same stack.
   */
  readonly outbound: (link: Link.Link, section: A, below: Below, above: ReadonlyArray<string>) => ReturnType<Wrap>
  readonly inbound: (link: Link.Link, section: A, below: Below, above: ReadonlyArray<string>) => ReturnType<Wrap>
  /** The key in the section. By default there is none. */
  readonly key?: (section: A) => PublicKey | undefined
  /** By default as it is. */
  readonly advertise?: (section: A) => Section
  /** Why a section that decodes can't be dialed all the same, before any I/O. By default any can. */
  readonly notDialable?: (section: A) => string | undefined
  /**
   * Why a section that decodes can't be listened on all the same, such as one with a key that is not the listener's. By
   * default any can.
   */
  readonly notListenable?: (section: A) => string | undefined
  /** Why it would be open to others than the peer, over this transport. By default it never is. */
  readonly insecure?: (below: Below) => string | undefined
}

/** Makes a transform from its definition. */
export const make = <A>(definition: Definition<A>): Shape => {
  const decode = Schema.decodeUnknownResult(definition.section)
  const refuse = (why: Refusal["why"]) => (detail: string) => Result.fail({ why, detail })
  const decoded = (section: Section): Result.Result<A, Refusal> =>
    Result.mapError(decode(section), (error): Refusal => ({ why: "unusable", detail: error.message }))
  const checked = (section: Section, below: Below, notUsable?: (section: A) => string | undefined) =>
    Result.flatMap(decoded(section), (own): Result.Result<A, Refusal> => {
      const insecure = definition.insecure?.(below)
      if (insecure !== undefined) return refuse("insecure")(insecure)
      const unusable = notUsable?.(own)
      return unusable === undefined ? Result.succeed(own) : refuse("unusable")(unusable)
    })
  return {
    authenticates: definition.authenticates,
    outbound: (section, below, above) =>
      Result.map(
        checked(section, below, definition.notDialable),
        (own) => (link) => definition.outbound(link, own, below, above)
      ),
    inbound: (section, below, above) =>
      Result.map(
        checked(section, below, definition.notListenable),
        (own) => (link) => definition.inbound(link, own, below, above)
      ),
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

/** The layer of a transform whose definition needs nothing. */
export const layer = <const Name extends string, A>(
  name: Name,
  definition: Definition<A>
): Layer.Layer<Transform<Name>> => Layer.succeed(Transform(name), make(definition))

// -----------------------------------------------------------------------------
// handshake and codec
// -----------------------------------------------------------------------------

/** What a handshake comes to. */
export interface Handshaken extends Partial<Omit<Link.Who, "remote">> {
  /** This transform's section in the address of the other end: with the key that was proved. */
  readonly section: Section
  /**
   * Without one, what follows the handshake is handed on as it is: for a protocol that talks a little, and then
   * splices.
   */
  readonly codec?: Codec.Codec
}

/** A transform's side from its handshake. What the handshake doesn't read is the codec's. */
export const fromCodec = <E, R>(
  link: Link.Link,
  handshake: (wire: Codec.Wire) => Effect.Effect<Handshaken, E, R>
): Effect.Effect<Link.Link, E, R> =>
  Effect.suspend(() => {
    const wire = Codec.wire(link)
    return Effect.map(handshake(wire), ({ codec, section, ...who }) =>
      Link.over(link, Codec.port(link, codec, wire.leftover()), { ...who, remote: link.remote.with(section) })
    )
  })

// -----------------------------------------------------------------------------
// effects
// -----------------------------------------------------------------------------

/**
 * A transform's side from effects over a connection that is its own. `section` is what it adds to the address of the
 * other end. What the effects acquire in their scope is let go of when the goodbye has left.
 */
export const fromConnection = <E, R>(
  link: Link.Link,
  section: Section,
  wrap: (connection: Connection.Connection) => Effect.Effect<Connection.Effects, E, R>
): Effect.Effect<Link.Link, E, R> =>
  Effect.suspend(() =>
    Effect.flatMap(wrap(Connection.within(link)), (effects) =>
      Connection.wrapEffects(link, effects, { remote: link.remote.with(section) })
    )
  )
