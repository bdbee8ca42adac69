/**
 * The contract of a transform: a protocol that wraps a connection, with an outbound and an inbound side.
 *
 * A transform is `Connection -> Effect<Connection, HandshakeError, Scope>`, so a stack is `flatMap`. Timeouts, limits and
 * events are around the stack and never inside a protocol. Most transforms are a handshake and a codec: `fromCodec` makes
 * the one of the other. `docs/writing-a-protocol.md` builds one.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Section } from "./Address.ts"
import type { Codec } from "./Codec.ts"
import * as Connection from "./Connection.ts"
import type { ConnectionReason } from "./ConnectionError.ts"
import type { HandshakeError } from "./HandshakeError.ts"
import { CodecPort } from "./internal/codecPort.ts"
import { PortWire } from "./internal/portWire.ts"
import type { Below } from "./Transport.ts"

/** The identifier of the transform called `Name`. */
export interface Transform<in out Name extends string> {
  readonly "~effect-multiserver/Transform": Name
}

/** One side of a transform, for one section of an address. */
export type Wrap = (
  connection: Connection.Connection
) => Effect.Effect<Connection.Connection, HandshakeError, Scope.Scope>

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
  /** One side for a section, over a transport; a failure says why it can't be. Nothing is done yet. */
  readonly outbound: (section: Section, below: Below) => Result.Result<Wrap, Refusal>
  readonly inbound: (section: Section, below: Below) => Result.Result<Wrap, Refusal>
  /** The section as it is advertised: with what a dialer has to know filled in, and nothing secret. */
  readonly advertise: (section: Section) => Section
}

/** The service of the transform called `name`. */
export const Transform = <const Name extends string>(name: Name): Context.Service<Transform<Name>, Shape> =>
  Context.Service<Transform<Name>, Shape>(`effect-multiserver/Transform/${name}`)

/** What the author of a transform says. `A` is the section, decoded. */
export interface Definition<A> {
  /** Decodes the section: `Schema.toType(Address.Shs)`, or `Address.section(name, schema)` for a protocol of your own. */
  readonly section: Schema.Codec<A, Section>
  readonly authenticates: boolean
  readonly outbound: (connection: Connection.Connection, section: A, below: Below) => ReturnType<Wrap>
  readonly inbound: (connection: Connection.Connection, section: A, below: Below) => ReturnType<Wrap>
  /** By default as it is. */
  readonly advertise?: (section: A) => Section
  /** Why a section that decodes can't be dialed all the same, before any I/O. By default any can. */
  readonly notDialable?: (section: A) => string | undefined
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
    outbound: (section, below) =>
      Result.map(
        checked(section, below, definition.notDialable),
        (own) => (connection) => definition.outbound(connection, own, below)
      ),
    inbound: (section, below) =>
      Result.map(checked(section, below), (own) => (connection) => definition.inbound(connection, own, below)),
    advertise: (section) => {
      const own = decoded(section)
      return Result.isSuccess(own) ? (definition.advertise?.(own.success) ?? section) : section
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

/** What a handshake talks over. */
export interface Wire {
  /** Exactly `length` bytes. An end before them fails with `Truncated`. */
  readonly read: (length: number) => Effect.Effect<Uint8Array, ConnectionReason>
  /** The bytes are the wire's from now on. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionReason>
}

/** What a handshake comes to. */
export interface Handshaken {
  readonly peer: Connection.Peer
  /** This transform's section in the address of the other end: with the key that was proved. */
  readonly remote: Section
  readonly codec: Codec
}

/** A transform's side from its handshake. What the handshake doesn't read is the codec's. */
export const fromCodec = <E, R>(
  connection: Connection.Connection,
  handshake: (wire: Wire) => Effect.Effect<Handshaken, E, R>
): Effect.Effect<Connection.Connection, E, R | Scope.Scope> =>
  Effect.flatMap(Connection.takePort(connection), (port) => {
    const wire = new PortWire(port)
    Connection.tally(connection, wire)
    return Effect.flatMap(handshake(wire), ({ codec, peer, remote }) => {
      // The account stays, the wire and what it has buffered need not.
      Connection.tally(connection, { bytesRead: wire.bytesRead, bytesWritten: wire.bytesWritten })
      const who = { peer, remote: connection.remote.with(remote) }
      return Connection.make(new CodecPort(port, codec, wire.leftover()), who, connection)
    })
  })
