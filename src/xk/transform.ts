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
import { notOwnKey } from "../handshake/ownKey.ts"
import { type Secrets, withSecrets } from "../handshake/secrets.ts"
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
  /** Decodes nothing: `Schema.toType` of its section. */
  readonly section: Schema.Codec<Own, Section>
  /** The section that names a peer. The key is valid already. */
  readonly of: (publicKey: PublicKey) => Own
}

/** What the handshakes of both sides are made of. */
export const begin = Effect.fnUntraced(function* <Own extends Keyed & Section>(kind: Kind<Own>) {
  const { profile } = kind
  const primitives = yield* NoisePrimitives
  const identity = yield* Identity
  const { failure, rejected, step } = handshakeErrors(profile.name, { helloIsSealed: true })
  const receive = (wire: Transform.Wire, length: number, phase: Phase, after: Rejected["after"]) =>
    Effect.mapError(wire.read(length), rejected(phase, after))
  const handshaken = (publicKey: PublicKey, session: Profile.Session): Transform.Handshaken => ({
    peer: makeUnchecked(Authenticated, { _tag: "Authenticated", publicKey }),
    section: kind.of(publicKey),
    codec: codec(primitives, session),
    binding: new Uint8Array(session.hash)
  })
  const local = Profile.local(profile, primitives, yield* AppKey.bytes, identity)
  return { kind, profile, primitives, identity, local, failure, rejected, step, receive, handshaken }
})

type Begun<Own extends Keyed & Section> = Effect.Success<ReturnType<typeof begin<Own>>>

/** The dialer's side. */
export const dialing = <Own extends Keyed & Section>({
  failure,
  handshaken,
  kind: { profile, section },
  local,
  primitives,
  receive,
  rejected,
  step
}: Begun<Own>): Transform.Definition<Own> => {
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
    const head = yield* receive(wire, Profile.lengths.acceptHead, "accept", "auth")
    yield* step("accept", Profile.initiatorAcceptHead(auth.next, head))
    const body = yield* receive(wire, Profile.lengths.acceptBody, "accept", "auth")
    return handshaken(responder, yield* step("accept", Profile.initiatorAcceptBody(auth.next, body)))
  })

  return {
    section,
    authenticates: true,
    notDialable: ({ publicKey }) =>
      publicKey === undefined ? `${profile.name} needs the key of the peer: ${profile.name}:KEY` : undefined,
    key: ({ publicKey }) => publicKey,
    outbound: (link, { publicKey, token }, _below, above) =>
      Transform.fromCodec(link, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : withSecrets(primitives, (secrets) => dial(Profile.under(local, above), secrets, wire, publicKey, token))
      )
  }
}

/** Both sides. */
export const make = Effect.fnUntraced(function* <Own extends Keyed & Section, E = never, R = never>(
  kind: Kind<Own>,
  { authorize }: Options<E, R>
) {
  const begun = yield* begin(kind)
  const context = yield* Effect.context<R>()
  const { failure, handshaken, identity, local, primitives, receive, rejected, step } = begun

  const serve = Effect.fnUntraced(function* (
    own: Profile.Local,
    secrets: Secrets,
    wire: Transform.Wire,
    remote: Address
  ) {
    const hello = yield* receive(wire, kind.profile.hello, "hello", "connect")
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
    return { ...handshaken(decision.initiator, accept.session), authorized }
  })

  return Transform.make({
    ...dialing(begun),
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
  Effect.map(begin(kind), (begun) => Transform.make(dialing(begun)))
