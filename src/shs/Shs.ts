/**
 * `shs`, secret-handshake version 1 and its box stream: mutual authentication by Ed25519 keys, for peers of one app
 * key.
 *
 * The dialer must know the listener's key. The listener learns the dialer's key in the handshake, and asks `authorize`
 * whether the dialer may connect. Specification: docs/wire.md. Known limits: no rekeying, no post-quantum part, sizes
 * and timing are visible.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import { Crowded } from "../Crowded.ts"
import { Primitives } from "../crypto/Primitives.ts"
import { PeerMisbehaved, type Rejected } from "../HandshakeError.ts"
import { decide } from "../handshake/authorize.ts"
import { ConvertedKeys } from "../handshake/convertedKeys.ts"
import { handshakeErrors, type Phase } from "../handshake/errors.ts"
import { type Secrets, withSecrets } from "../handshake/secrets.ts"
import { noKey, notOwnKey } from "../handshake/sectionKey.ts"
import { fromSeed, Identity, type KeyPair, type PublicKey } from "../Identity.ts"
import { Authenticated } from "../Peer.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transform from "../Transform.ts"
import * as BoxStream from "./BoxStream.ts"
import * as Handshake from "./ShsHandshake.ts"

/**
 * A peer that asks to connect, with its key already proved.
 *
 * @category models
 * @since 0.1.0
 */
export interface Applicant {
  readonly publicKey: PublicKey
  /** Where the peer comes from. */
  readonly remote: Address.Address
}

/**
 * Which peers may connect, and the longest box that is read.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never, R = never> {
  /**
   * Whether a peer may connect. `true` and `Option.some` let it in, `false` and `Option.none` do not. The connection
   * carries the value of a `some`: see `Connection.authorizedAs`. Runs once, within the handshake's deadline. When it
   * fails or dies, that is logged, and the peer is refused as a stranger is. By default every peer that passes the
   * handshake may connect.
   */
  readonly authorize?: (applicant: Applicant) => Effect.Effect<boolean | Option.Option<unknown>, E, R>
  /** The longest box body that is read, 4096 to 65535 bytes. By default 4096, the most that peers send. */
  readonly maxBoxBody?: number
}

const { failure, rejected, step } = handshakeErrors("shs", { helloIsSealed: false })

const receive = (wire: Transform.Wire, phase: Phase, after: Rejected["after"]) =>
  Effect.mapError(wire.read(Handshake.lengths[phase]), rejected(phase, after))

const handshaken = (
  primitives: Primitives["Service"],
  publicKey: PublicKey,
  session: Handshake.Session,
  maxBoxBody: number | undefined
): Transform.Handshaken => ({
  peer: makeUnchecked(Authenticated, { _tag: "Authenticated", publicKey }),
  section: makeUnchecked(Address.Shs, { _tag: "shs", publicKey }),
  codec: BoxStream.codec(primitives, session, maxBoxBody)
})

/** What the handshakes of both sides are made of. */
const begin = Effect.fnUntraced(function* () {
  const primitives = yield* Primitives
  const identity = yield* Identity
  const appKey = yield* AppKey.bytes
  const keys = new ConvertedKeys(primitives)
  const local = (as: KeyPair, secrets: Secrets): Handshake.Local => {
    const ephemeral = primitives.x25519KeyPair()
    secrets.keep(ephemeral.secretKey)
    return { primitives, appKey, identity: as, ephemeral, keys, secrets }
  }
  return { primitives, identity, local }
})

type Own = Effect.Success<ReturnType<typeof begin>>

/** The dialer's side. */
const dialing = (
  { identity, local, primitives }: Own,
  maxBoxBody: number | undefined
): Transform.Definition<Address.Shs> => {
  /** Dials as the key pair of the seed, where the address has a seed, and otherwise as the process's identity. */
  const dial = Effect.fnUntraced(function* (
    secrets: Secrets,
    wire: Transform.Wire,
    server: PublicKey,
    seed: Redacted.Redacted<Uint8Array> | undefined
  ) {
    const as = seed === undefined ? identity : fromSeed(primitives, seed)
    if (as !== identity) secrets.keep(Redacted.value(as.secretKey))
    const hello = Handshake.clientHello(local(as, secrets), server)
    yield* Effect.mapError(wire.write(hello.message), rejected("hello", "connect"))
    hello.next.sharedLong()
    const challenge = yield* receive(wire, "challenge", "hello")
    const auth = yield* step("challenge", Handshake.clientAuth(hello.next, challenge))
    yield* Effect.mapError(wire.write(auth.message), rejected("auth", "hello"))
    auth.next.acceptKey()
    const accept = yield* receive(wire, "accept", "auth")
    const session = yield* step("accept", Handshake.clientFinish(auth.next, accept))
    return handshaken(primitives, server, session, maxBoxBody)
  })

  return {
    section: Schema.toType(Address.Shs),
    authenticates: true,
    notDialable: ({ publicKey }) => noKey("shs", publicKey),
    key: ({ publicKey }) => publicKey,
    outbound: (link, { publicKey, seed }) =>
      Transform.fromCodec(link, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : withSecrets(primitives, (secrets) => dial(secrets, wire, publicKey, seed))
      )
  }
}

/**
 * Makes the transform. Needs `Identity` and `Primitives`, and reads `AppKey`. Most programs use `layer`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* <E = never, R = never>(options: Options<E, R> = {}) {
  const own = yield* begin()
  const context = yield* Effect.context<R>()
  const { identity, local, primitives } = own
  const { authorize } = options

  const serve = Effect.fnUntraced(function* (secrets: Secrets, wire: Transform.Wire, remote: Address.Address) {
    const crowded = yield* Crowded
    const early = crowded() ? undefined : local(identity, secrets)
    const hello = yield* receive(wire, "hello", "connect")
    const challenge = yield* step("hello", Handshake.serverChallenge(early ?? local(identity, secrets), hello))
    yield* Effect.mapError(wire.write(challenge.message), rejected("challenge", "connect"))
    if (!crowded()) challenge.next.sharedLong()
    const auth = yield* receive(wire, "auth", "hello")
    const decision = yield* step("auth", Handshake.serverVerify(challenge.next, auth))
    const applicant = { publicKey: decision.client, remote }
    const authorized = yield* decide(authorize, context, (reason) => failure("auth", reason), applicant)
    const accept = Handshake.serverAccept(decision)
    yield* Effect.mapError(wire.write(accept.message), rejected("accept", "auth"))
    return { ...handshaken(primitives, decision.client, accept.session, options.maxBoxBody), authorized }
  })

  return Transform.make({
    ...dialing(own, options.maxBoxBody),
    notListenable: ({ publicKey, seed }) => notOwnKey(primitives, identity.publicKey, publicKey, seed && "seed"),
    inbound: (link) =>
      Transform.fromCodec(link, (wire) => withSecrets(primitives, (secrets) => serve(secrets, wire, link.remote))),
    advertise: () => new Address.Shs({ publicKey: identity.publicKey })
  })
})

/**
 * The transform `shs` for the process's `Identity`, in the network of `AppKey`.
 *
 * @example
 * ```ts
 * import { Effect, HashMap, Layer, Option, Schema } from "effect"
 * import { Connection, Identity, Multiserver, Net, NodeIdentity, Shs, Sodium } from "effect-multiserver/node"
 *
 * class User extends Schema.Class<User>("User")({ name: Schema.String }) {}
 *
 * const program = Effect.gen(function* () {
 *   const { publicKey } = yield* Identity.Identity
 *   const users = HashMap.make([Identity.formatPublicKey(publicKey), new User({ name: "ada" })])
 *   const speaks = Multiserver.layer(["net~shs"]).pipe(
 *     Layer.provide(Net.layer()),
 *     Layer.provide(
 *       Shs.layer({
 *         authorize: ({ publicKey }) => Effect.sync(() => HashMap.get(users, Identity.formatPublicKey(publicKey)))
 *       })
 *     )
 *   )
 *   const greeted = yield* Effect.gen(function* () {
 *     const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
 *     yield* Effect.forkScoped(
 *       listener.run((connection) => {
 *         const user = Connection.authorizedAs(connection, Schema.is(User))
 *         return connection.write(new TextEncoder().encode(`hello ${Option.getOrThrow(user).name}`))
 *       })
 *     )
 *     const connection = yield* Multiserver.dial(listener.addresses())
 *     const chunks = yield* connection.pull
 *     return new TextDecoder().decode(chunks[0])
 *   }).pipe(Effect.scoped, Effect.provide(speaks))
 *   console.log(greeted) // hello ada
 * })
 * await Effect.runPromise(program.pipe(Effect.provide(NodeIdentity.layerEphemeral), Effect.provide(Sodium.layer)))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"shs">, never, Identity | Primitives | R> =>
  Layer.effect(Transform.Transform("shs"), make(options))

/**
 * `layer` for programs that only dial, such as web pages. A bundle that uses it has no code of a listener.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDialOnly = ({
  maxBoxBody
}: Pick<Options, "maxBoxBody"> = {}): Layer.Layer<Transform.Transform<"shs">, never, Identity | Primitives> =>
  Layer.effect(
    Transform.Transform("shs"),
    Effect.map(begin(), (own) => Transform.make(dialing(own, maxBoxBody)))
  )
