/**
 * `noise`: mutual authentication by the same Ed25519 keys as shs, through Noise's XKpsk0 handshake, for peers of one
 * app key who mean the same stack, and large sealed frames.
 *
 * The dialer has to know the listener's key; the listener learns the dialer's, with the token of the address where
 * there is one, and asks `authorize` whether to let it in. Specification: docs/noise.md. Known limits: no post-quantum
 * part; sizes and timing are visible; a recorded hello that is played again is answered.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import { Primitives } from "../crypto/Primitives.ts"
import { PeerMisbehaved, type Rejected } from "../HandshakeError.ts"
import { decide, type Verdict } from "../handshake/authorize.ts"
import { handshakeErrors, type Phase } from "../handshake/errors.ts"
import { notOwnKey } from "../handshake/ownKey.ts"
import { type Secrets, withSecrets } from "../handshake/secrets.ts"
import { Identity, type PublicKey } from "../Identity.ts"
import { Authenticated } from "../Peer.ts"
import * as Transform from "../Transform.ts"
import { codec } from "./NoiseFrames.ts"
import * as Profile from "./NoiseProfile.ts"

/** Who asks to come in, with its key already proved. */
export interface Applicant {
  readonly publicKey: PublicKey
  /** Where it comes from. */
  readonly remote: Address.Address
  /**
   * The 32-byte token of the address that it dialed. Whoever has it can come with it: store hashes of those that are
   * valid. It is overwritten when the peer is refused, or its handshake fails otherwise: compare or hash it within
   * `authorize`.
   */
  readonly token: Option.Option<Redacted.Redacted<Uint8Array>>
}

/** Which peers may come in. */
export interface Options<E = never, R = never> {
  /**
   * Whether a peer may come in, and a value that its connection then carries. Runs once, within the handshake's
   * deadline; when it fails or dies, the peer is refused. By default every peer that passes the handshake gets in.
   */
  readonly authorize?: (applicant: Applicant) => Effect.Effect<Verdict, E, R>
}

const { failure, rejected, step } = handshakeErrors("noise", { helloIsSealed: true })

const receive = (wire: Transform.Wire, length: number, phase: Phase, after: Rejected["after"]) =>
  Effect.mapError(wire.read(length), rejected(phase, after))

const handshaken = (
  primitives: Primitives["Service"],
  publicKey: PublicKey,
  session: Profile.Session
): Transform.Handshaken => ({
  peer: new Authenticated({ publicKey }),
  section: new Address.Noise({ publicKey }),
  codec: codec(primitives, session),
  binding: new Uint8Array(session.hash)
})

/** The transform, for an identity and an app key. Most programs use `layer`. */
export const make = Effect.fnUntraced(function* <E = never, R = never>(options: Options<E, R> = {}) {
  const primitives = yield* Primitives
  const identity = yield* Identity
  const context = yield* Effect.context<R>()
  const appKey = yield* AppKey.bytes
  const { authorize } = options
  const local = Profile.local(primitives, appKey, identity)

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
    // The peer is in: the token is the application's, which may have kept it.
    if (Option.isSome(decision.token)) secrets.release(Redacted.value(decision.token.value))
    return { ...handshaken(primitives, decision.initiator, accept.session), authorized }
  })

  return Transform.make({
    section: Schema.toType(Address.Noise),
    authenticates: true,
    notDialable: ({ publicKey }) =>
      publicKey === undefined ? "noise needs the key of the peer: noise:KEY" : undefined,
    notListenable: ({ publicKey, token }) => notOwnKey(primitives, identity.publicKey, publicKey, token && "token"),
    key: ({ publicKey }) => publicKey,
    outbound: (link, { publicKey, token }, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : withSecrets(primitives, (secrets) => dial(Profile.under(local, above), secrets, wire, publicKey, token))
      ),
    inbound: (link, _section, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        withSecrets(primitives, (secrets) => serve(Profile.under(local, above), secrets, wire, link.remote))
      ),
    advertise: () => new Address.Noise({ publicKey: identity.publicKey })
  })
})

/** The transform `noise` for the process's `Identity`, in the network of `AppKey`. */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"noise">, never, Identity | Primitives | R> =>
  Layer.effect(Transform.Transform("noise"), make(options))
