/**
 * `shs`, secret-handshake version 1 and its box stream: mutual authentication by Ed25519 keys, for peers of one app key.
 *
 * The dialer has to know the listener's key; the listener learns the dialer's and asks `authorize` whether to let it in.
 * Specification: wire.md, section 1. Known limits: no rekeying, no post-quantum part, sizes and timing are visible.
 */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Base64 from "effect/encoding/Base64"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import * as Address from "../Address.ts"
import { Authenticated } from "../Connection.ts"
import type { ConnectionReason } from "../ConnectionError.ts"
import { ConvertedKeys } from "../crypto/ConvertedKeys.ts"
import { Primitives } from "../crypto/Primitives.ts"
import {
  HandshakeError,
  type HandshakeReason,
  NotAuthorized,
  PeerMisbehaved,
  Rejected,
  WrongNetwork
} from "../HandshakeError.ts"
import { formatPublicKey, fromSeed, Identity, type KeyPair, type PublicKey } from "../Identity.ts"
import { decodeExactly } from "../internal/base64.ts"
import { Crowded } from "../internal/crowded.ts"
import { trusted } from "../internal/trusted.ts"
import * as Transform from "../Transform.ts"
import * as BoxStream from "./BoxStream.ts"
import * as Handshake from "./ShsHandshake.ts"

/** 32 bytes that name a network: peers with another one can't even talk. Public for most networks, so not a password. */
export type AppKey = Redacted.Redacted<Uint8Array>

/** The app key of Secure Scuttlebutt's main network. */
export const mainNetwork: AppKey = Redacted.make(
  Result.getOrThrow(Base64.decode("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s=")),
  { label: "app key" }
)

/** An app key from base64 of 32 bytes; `undefined` when it is none. */
export const parseAppKey = (text: string): AppKey | undefined => {
  const bytes = decodeExactly(text, 32)
  return bytes === undefined ? undefined : Redacted.make(bytes, { label: "app key" })
}

/** An app key from configuration, base64 of 32 bytes; by default `MULTISERVER_APP_KEY`. */
export const configAppKey = (
  config: Config.Config<Redacted.Redacted<string>> = Config.Redacted("MULTISERVER_APP_KEY")
): Config.Config<AppKey> =>
  config.pipe(
    Config.mapEffect((text) => {
      const appKey = parseAppKey(Redacted.value(text))
      return appKey === undefined ? Effect.fail(new Config.ConfigError(notAnAppKey)) : Effect.succeed(appKey)
    })
  )
const notAnAppKey = new Schema.SchemaError(
  new SchemaIssue.InvalidValue({ message: "expected base64 of a 32-byte app key" })
)

/** Who asks to come in, with its key already proved. */
export interface Applicant {
  readonly publicKey: PublicKey
  /** Where it comes from. */
  readonly remote: Address.Address
}

export interface Options<E = never, R = never> {
  /** By default SSB's main network. */
  readonly appKey?: AppKey
  /**
   * Whether a peer may come in. Runs once, within the handshake's deadline; when it fails or dies, the peer is refused. By
   * default every peer that passes the handshake may.
   */
  readonly authorize?: (applicant: Applicant) => Effect.Effect<boolean, E, R>
  /** The longest box body that is read, 4096 to 65535 bytes. By default 4096, the most that peers send. */
  readonly maxBoxBody?: number
}

type Phase = "hello" | "challenge" | "auth" | "accept"

const failure = (phase: Phase, reason: HandshakeReason): HandshakeError =>
  new HandshakeError({ protocol: "shs", phase, reason })

/** A pure step's outcome as an effect. */
const step = <A>(phase: Phase, result: Result.Result<A, Handshake.Failure>): Effect.Effect<A, HandshakeError> =>
  Effect.fromResult(
    Result.mapError(result, (cause) =>
      failure(phase, cause._tag === "network" ? new WrongNetwork() : new PeerMisbehaved({ detail: cause.detail }))
    )
  )

/** While one waits for a peer's message, an end, however it comes, is a rejection of what was sent before. */
const rejected =
  (phase: Phase, after: Rejected["after"]) =>
  (_reason: ConnectionReason): HandshakeError =>
    failure(phase, new Rejected({ after }))

const receive = (wire: Transform.Wire, phase: Phase, after: Rejected["after"]) =>
  Effect.mapError(wire.read(Handshake.lengths[phase]), rejected(phase, after))

const handshaken = (
  primitives: Primitives["Service"],
  publicKey: PublicKey,
  session: Handshake.Session,
  maxBoxBody: number | undefined
): Transform.Handshaken => ({
  peer: trusted(Authenticated, { _tag: "Authenticated", publicKey }),
  remote: trusted(Address.Shs, { _tag: "shs", publicKey }),
  codec: BoxStream.codec(primitives, session, maxBoxBody)
})

/** The transform, for an identity. `Shs.layer` is the usual way to it. */
export const make = Effect.fnUntraced(function* <E = never, R = never>(options: Options<E, R> = {}) {
  const primitives = yield* Primitives
  const identity = yield* Identity
  const context = yield* Effect.context<R>()
  const appKey = Redacted.value(options.appKey ?? mainNetwork)
  const authorize = options.authorize ?? (() => Effect.succeed(true))
  const keys = new ConvertedKeys(primitives)
  const local = (as: KeyPair): Handshake.Local => ({
    primitives,
    appKey,
    identity: as,
    ephemeral: primitives.x25519KeyPair(),
    keys
  })

  const dial = Effect.fnUntraced(function* (wire: Transform.Wire, server: PublicKey, as: KeyPair) {
    const hello = Handshake.clientHello(local(as), server)
    yield* Effect.mapError(wire.write(hello.message), rejected("hello", "connect"))
    const challenge = yield* receive(wire, "challenge", "hello")
    const auth = yield* step("challenge", Handshake.clientAuth(hello.next, challenge))
    yield* Effect.mapError(wire.write(auth.message), rejected("auth", "hello"))
    auth.next.acceptKey()
    const accept = yield* receive(wire, "accept", "auth")
    const session = yield* step("accept", Handshake.clientFinish(auth.next, accept))
    return handshaken(primitives, server, session, options.maxBoxBody)
  })

  /** A defect in `authorize` is as much a refusal as a `false`; only an interruption stays one. */
  const decide = (applicant: Applicant): Effect.Effect<void, HandshakeError> => {
    const publicKey = formatPublicKey(applicant.publicKey)
    const refuse = (failed: boolean) => Effect.fail(failure("auth", new NotAuthorized({ publicKey, failed })))
    return Effect.suspend(() => authorize(applicant)).pipe(
      Effect.provideContext(context),
      Effect.matchCauseEffect({
        onSuccess: (allowed) => (allowed === true ? Effect.void : refuse(false)),
        onFailure: (cause) =>
          cause.reasons.some((reason) => reason._tag === "Interrupt") ? Effect.interrupt : refuse(true)
      })
    )
  }

  const serve = Effect.fnUntraced(function* (wire: Transform.Wire, remote: Address.Address) {
    const hello = yield* receive(wire, "hello", "connect")
    const challenge = yield* step("hello", Handshake.serverChallenge(local(identity), hello))
    yield* Effect.mapError(wire.write(challenge.message), rejected("challenge", "connect"))
    const crowded = yield* Crowded
    if (!crowded()) challenge.next.sharedLong()
    const auth = yield* receive(wire, "auth", "hello")
    const decision = yield* step("auth", Handshake.serverVerify(challenge.next, auth))
    yield* decide({ publicKey: decision.client, remote })
    const accept = Handshake.serverAccept(decision)
    yield* Effect.mapError(wire.write(accept.message), rejected("accept", "auth"))
    return handshaken(primitives, decision.client, accept.session, options.maxBoxBody)
  })

  return Transform.make({
    section: Schema.toType(Address.Shs),
    authenticates: true,
    notDialable: (section) => (section.publicKey === undefined ? "shs needs the key of the peer: shs:KEY" : undefined),
    outbound: (connection, { publicKey, seed }) =>
      Transform.fromCodec(connection, (wire) =>
        publicKey === undefined
          ? Effect.fail(failure("hello", new PeerMisbehaved({ detail: "no key to dial" })))
          : dial(wire, publicKey, seed === undefined ? identity : fromSeed(primitives, seed))
      ),
    inbound: (connection) => Transform.fromCodec(connection, (wire) => serve(wire, connection.remote)),
    advertise: () => new Address.Shs({ publicKey: identity.publicKey })
  })
})

/** The transform `shs` for the process's `Identity`. */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"shs">, never, Identity | Primitives | R> =>
  Layer.effect(Transform.Transform("shs"), make(options))
