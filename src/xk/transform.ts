/** The transform of a protocol that is made of Noise's XKpsk0: its handshake, message by message, and its frames. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import type * as Schema from "effect/Schema"
import type { Address, Section } from "../Address.ts"
import * as AppKey from "../AppKey.ts"
import { NoisePrimitives } from "../crypto/Primitives.ts"
import { PeerMisbehaved, type Rejected } from "../HandshakeError.ts"
import { decide, type Options } from "../handshake/authorize.ts"
import { handshakeErrors, type Phase } from "../handshake/errors.ts"
import { type Secrets, withSecrets } from "../handshake/secrets.ts"
import { noKey, notOwnKey } from "../handshake/sectionKey.ts"
import { Identity, type PublicKey } from "../Identity.ts"
import { Authenticated } from "../Peer.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transform from "../Transform.ts"
import { codec } from "./NoiseFrames.ts"
import * as Profile from "./NoiseProfile.ts"

/** A section of such a protocol: `NAME[:KEY[:TOKEN]]`. */
interface Keyed {
  readonly publicKey?: PublicKey
  readonly token?: Redacted.Redacted<Uint8Array>
}

/** A protocol: how its handshake is made, and its sections. */
export interface Kind<Own extends Keyed & Section> {
  readonly profile: Profile.Profile
  /** See `Transform.Definition`. */
  readonly strength: number
  /** Decodes nothing: `Schema.toType` of its section. */
  readonly section: Schema.Codec<Own, Section>
  /** The section that names a peer. The key is valid already. */
  readonly of: (publicKey: PublicKey) => Own
}

/** The dialer's side, and what the listener's is made of. */
const begin = Effect.fnUntraced(function* <Own extends Keyed & Section>({ of, profile, section, strength }: Kind<Own>) {
  const primitives = yield* NoisePrimitives
  const identity = yield* Identity
  const local = Profile.local(profile, primitives, yield* AppKey.bytes, identity)
  const { failure, rejected, step } = handshakeErrors(profile.name, { helloIsSealed: true })

  const receive = (wire: Transform.Wire, length: number, phase: Phase, after: Rejected["after"]) =>
    Effect.mapError(wire.read(length), rejected(phase, after))

  const handshaken = (publicKey: PublicKey, session: Profile.Session): Transform.Handshaken => ({
    peer: makeUnchecked(Authenticated, { _tag: "Authenticated", publicKey }),
    section: of(publicKey),
    codec: codec(primitives, session),
    binding: new Uint8Array(session.hash)
  })

  const dial = Effect.fnUntraced(function* (
    own: Profile.Local,
    secrets: Secrets,
    wire: Transform.Wire,
    responder: PublicKey,
    token: Redacted.Redacted<Uint8Array> | undefined
  ) {
    const hello = yield* step("hello", Profile.initiatorHello(own, responder, secrets))
    yield* Effect.mapError(wire.write(hello.message), rejected("hello", "connect"))
    const challenge = yield* receive(wire, profile.challenge, "challenge", "hello")
    const auth = yield* step(
      "challenge",
      Profile.initiatorAuth(hello.next, challenge, token === undefined ? undefined : Redacted.value(token))
    )
    yield* Effect.mapError(wire.write(auth.message), rejected("auth", "hello"))
    const head = yield* receive(wire, Profile.acceptHeadLength, "accept", "auth")
    yield* step("accept", Profile.initiatorAcceptHead(auth.next, head))
    const body = yield* receive(wire, Profile.acceptBodyLength, "accept", "auth")
    return handshaken(responder, yield* step("accept", Profile.initiatorAcceptBody(auth.next, body)))
  })

  const dialing: Transform.Definition<Own> = {
    section,
    authenticates: true,
    strength,
    notDialable: ({ publicKey }) => noKey(profile.name, publicKey),
    key: ({ publicKey }) => publicKey,
    outbound: (link, { publicKey, token }, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : withSecrets(primitives, (secrets) => dial(Profile.under(local, above), secrets, wire, publicKey, token))
      )
  }
  return { dialing, failure, handshaken, identity, local, primitives, receive, rejected, step }
})

/** Both sides. */
export const make = Effect.fnUntraced(function* <Own extends Keyed & Section, E = never, R = never>(
  kind: Kind<Own>,
  { authorize }: Options<E, R>
) {
  const { dialing, failure, handshaken, identity, local, primitives, receive, rejected, step } = yield* begin(kind)
  const context = yield* Effect.context<R>()

  const serve = Effect.fnUntraced(function* (
    own: Profile.Local,
    secrets: Secrets,
    wire: Transform.Wire,
    remote: Address
  ) {
    const hello = yield* receive(wire, kind.profile.hello, "hello", "connect")
    const challenge = yield* step("hello", Profile.responderChallenge(own, hello, secrets))
    yield* Effect.mapError(wire.write(challenge.message), rejected("challenge", "connect"))
    const auth = yield* receive(wire, Profile.authLength, "auth", "hello")
    const decision = yield* step("auth", Profile.responderVerify(challenge.next, auth))
    const applicant = { publicKey: decision.initiator, remote, token: decision.token }
    const authorized = yield* decide(authorize, context, (reason) => failure("auth", reason), applicant)
    const accept = Profile.responderAccept(decision)
    yield* Effect.mapError(wire.write(accept.message), rejected("accept", "auth"))
    // The peer is admitted. The application may have kept the token, so it is not wiped with the other secrets.
    if (Option.isSome(decision.token)) secrets.release(Redacted.value(decision.token.value))
    return { ...handshaken(decision.initiator, accept.session), authorized }
  })

  return Transform.make({
    ...dialing,
    notListenable: ({ publicKey, token }) => notOwnKey(primitives, identity.publicKey, publicKey, token && "token"),
    inbound: (link, _section, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        withSecrets(primitives, (secrets) => serve(Profile.under(local, above), secrets, wire, link.remote))
      ),
    advertise: () => kind.of(identity.publicKey)
  })
})

/** The dialer's side alone, for programs that have no code of a listener. */
export const makeDialOnly = <Own extends Keyed & Section>(kind: Kind<Own>) =>
  Effect.map(begin(kind), ({ dialing }) => Transform.make(dialing))
