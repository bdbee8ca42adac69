/**
 * `noise`: mutual authentication by the same Ed25519 keys as shs, in Noise's XKpsk0 handshake, and then large sealed
 * frames. Both peers need the same app key, and the same transforms above `noise`.
 *
 * The dialer must know the listener's key. The listener learns the dialer's key in the handshake, and the token of the
 * dialed address if it has one, and asks `authorize` whether the dialer may connect. Specification: docs/noise.md.
 * Known limits: no post-quantum part; sizes and timing are visible; a listener answers a recorded hello that is
 * replayed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import { NoisePrimitives } from "../crypto/Primitives.ts"
import { PeerMisbehaved, type Rejected } from "../HandshakeError.ts"
import { decide } from "../handshake/authorize.ts"
import { handshakeErrors, type Phase } from "../handshake/errors.ts"
import { notOwnKey } from "../handshake/ownKey.ts"
import { type Secrets, withSecrets } from "../handshake/secrets.ts"
import { Identity, type PublicKey } from "../Identity.ts"
import { Authenticated } from "../Peer.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transform from "../Transform.ts"
import { codec } from "./NoiseFrames.ts"
import * as Profile from "./NoiseProfile.ts"

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
  /**
   * The 32-byte token of the address that the peer dialed, if it has one. Anyone who has a token can use it, so store
   * only hashes of valid tokens. Compare or hash it within `authorize`: it is overwritten when the peer is refused, or
   * its handshake fails otherwise.
   */
  readonly token: Option.Option<Redacted.Redacted<Uint8Array>>
}

/**
 * Which peers may connect.
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
}

const { failure, rejected, step } = handshakeErrors("noise", { helloIsSealed: true })

const receive = (wire: Transform.Wire, length: number, phase: Phase, after: Rejected["after"]) =>
  Effect.mapError(wire.read(length), rejected(phase, after))

const handshaken = (
  primitives: NoisePrimitives["Service"],
  publicKey: PublicKey,
  session: Profile.Session
): Transform.Handshaken => ({
  peer: makeUnchecked(Authenticated, { _tag: "Authenticated", publicKey }),
  section: makeUnchecked(Address.Noise, { _tag: "noise", publicKey }),
  codec: codec(primitives, session),
  binding: new Uint8Array(session.hash)
})

/** What the handshakes of both sides are made of. */
const begin = Effect.fnUntraced(function* () {
  const primitives = yield* NoisePrimitives
  const identity = yield* Identity
  return { primitives, identity, local: Profile.local(primitives, yield* AppKey.bytes, identity) }
})

type Own = Effect.Success<ReturnType<typeof begin>>

/** The dialer's side. */
const dialing = ({ local, primitives }: Own): Transform.Definition<Address.Noise> => {
  const dial = Effect.fnUntraced(function* (
    own: Profile.Local,
    secrets: Secrets,
    wire: Transform.Wire,
    responder: PublicKey,
    token: Redacted.Redacted<Uint8Array> | undefined
  ) {
    const hello = yield* step("hello", Profile.initiatorHello(own, responder, secrets))
    yield* Effect.mapError(wire.write(hello.message), rejected("hello", "connect"))
    const challenge = yield* receive(wire, Profile.lengths.challenge, "challenge", "hello")
    const auth = yield* step(
      "challenge",
      Profile.initiatorAuth(hello.next, challenge, token === undefined ? undefined : Redacted.value(token))
    )
    yield* Effect.mapError(wire.write(auth.message), rejected("auth", "hello"))
    const head = yield* receive(wire, Profile.lengths.acceptHead, "accept", "auth")
    yield* step("accept", Profile.initiatorAcceptHead(auth.next, head))
    const body = yield* receive(wire, Profile.lengths.acceptBody, "accept", "auth")
    return handshaken(primitives, responder, yield* step("accept", Profile.initiatorAcceptBody(auth.next, body)))
  })

  return {
    section: Schema.toType(Address.Noise),
    authenticates: true,
    strength: 2,
    notDialable: ({ publicKey }) =>
      publicKey === undefined ? "noise needs the key of the peer: noise:KEY" : undefined,
    key: ({ publicKey }) => publicKey,
    outbound: (link, { publicKey, token }, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : withSecrets(primitives, (secrets) => dial(Profile.under(local, above), secrets, wire, publicKey, token))
      )
  }
}

/**
 * Makes the transform. Needs `Identity` and `NoisePrimitives`, and reads `AppKey`. Most programs use `layer`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = Effect.fnUntraced(function* <E = never, R = never>(options: Options<E, R> = {}) {
  const own = yield* begin()
  const context = yield* Effect.context<R>()
  const { identity, local, primitives } = own
  const { authorize } = options

  const serve = Effect.fnUntraced(function* (
    own: Profile.Local,
    secrets: Secrets,
    wire: Transform.Wire,
    remote: Address.Address
  ) {
    const hello = yield* receive(wire, Profile.lengths.hello, "hello", "connect")
    const challenge = yield* step("hello", Profile.responderChallenge(own, hello, secrets))
    yield* Effect.mapError(wire.write(challenge.message), rejected("challenge", "connect"))
    const auth = yield* receive(wire, Profile.lengths.auth, "auth", "hello")
    const decision = yield* step("auth", Profile.responderVerify(challenge.next, auth))
    const applicant = { publicKey: decision.initiator, remote, token: decision.token }
    const authorized = yield* decide(authorize, context, (reason) => failure("auth", reason), applicant)
    const accept = Profile.responderAccept(decision)
    yield* Effect.mapError(wire.write(accept.message), rejected("accept", "auth"))
    // The peer is admitted. The application may have kept the token, so it is not wiped with the other secrets.
    if (Option.isSome(decision.token)) secrets.release(Redacted.value(decision.token.value))
    return { ...handshaken(primitives, decision.initiator, accept.session), authorized }
  })

  return Transform.make({
    ...dialing(own),
    notListenable: ({ publicKey, token }) => notOwnKey(primitives, identity.publicKey, publicKey, token && "token"),
    inbound: (link, _section, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        withSecrets(primitives, (secrets) => serve(Profile.under(local, above), secrets, wire, link.remote))
      ),
    advertise: () => new Address.Noise({ publicKey: identity.publicKey })
  })
})

/**
 * The transform `noise` for the process's `Identity`, in the network of `AppKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"noise">, never, Identity | NoisePrimitives | R> =>
  Layer.effect(Transform.Transform("noise"), make(options))

/**
 * `layer` for programs that only dial, such as web pages. A bundle that uses it has no code of a listener.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDialOnly: Layer.Layer<Transform.Transform<"noise">, never, Identity | NoisePrimitives> = Layer.effect(
  Transform.Transform("noise"),
  Effect.map(begin(), (own) => Transform.make(dialing(own)))
)
