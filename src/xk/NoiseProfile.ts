/**
 * The handshake of a protocol that is made of Noise's XKpsk0 (docs/noise.md), as pure steps. Each step takes a message,
 * and returns the next message with the state for the step after it, or a failure. What differs from protocol to
 * protocol is data: its `Profile`.
 *
 * ```
 * initiator                                       responder
 * hello      psk, e, es                 ->
 *                                       <-        challenge  e, ee
 * auth       s, se, payload A token 128 ->
 *                                       <- 35     accept     the responder's first frame, one byte 00
 * ```
 */
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { KeyPairBytes, NoisePrimitives } from "../crypto/Primitives.ts"
import { uncheckedPublicKey } from "../crypto/publicKey.ts"
import { concat, empty, scratch } from "../crypto/scratch.ts"
import { ConvertedKeys } from "../handshake/convertedKeys.ts"
import type { Failure } from "../handshake/errors.ts"
import { Secrets } from "../handshake/secrets.ts"
import type { KeyPair, PublicKey } from "../Identity.ts"
import { type Direction, headLength, NoiseFrames, NoiseSealer, stateLength } from "./NoiseFrames.ts"
import * as Noise from "./NoiseHandshake.ts"

/** What distinguishes a protocol from the others. */
export interface Profile {
  /** The protocol's name in addresses. */
  readonly name: string
  /** Begins the prologue. With another label or version, two sides don't get past the hello. */
  readonly label: string
  readonly pattern: Noise.Pattern
  /** Begins a handshake of the pattern. */
  readonly handshake: (options: Noise.Options) => Noise.NoiseHandshake
  /** The lengths of the first two messages. */
  readonly hello: number
  readonly challenge: number
}

/** The lengths of the other messages, the same in each profile. The accept frame is read in two parts. */
export const authLength = 128
export const acceptHeadLength = headLength
export const acceptBodyLength = 17

/** What one side brings to a handshake. */
export interface Local {
  readonly profile: Profile
  readonly primitives: NoisePrimitives["Service"]
  /** The pre-shared secret of the handshake: a hash of the network key. */
  readonly psk: Uint8Array
  /** The names of the sections from its own upwards, which must be the same on both sides: `noise~deflate`. */
  readonly sections: string
  readonly identity: KeyPair
  readonly protocol: Noise.Protocol
  /** The identity's key pair, converted to X25519. */
  readonly x25519: Noise.Pair
  /** Makes a fresh X25519 pair when the handshake needs it. */
  readonly ephemeral: () => KeyPairBytes
  /** Converts peers' keys to X25519. */
  readonly keys: ConvertedKeys
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)

/**
 * One side, for all its handshakes with no transform above this one. Tests pass an `ephemeral` that gives a known pair:
 * then every byte that this side sends is known.
 */
export const local = (
  profile: Profile,
  primitives: NoisePrimitives["Service"],
  appKey: Uint8Array,
  identity: KeyPair,
  ephemeral: () => KeyPairBytes = primitives.x25519KeyPair
): Local => {
  const withSecret = <A>(use: (secretKey: Uint8Array) => A): A => {
    const secretKey = primitives.x25519FromSecretKey(Redacted.value(identity.secretKey))
    const out = use(secretKey)
    primitives.wipe(secretKey)
    return out
  }
  const psk = new Uint8Array(32)
  primitives.blake2b(psk, encode(`${profile.label}/psk`), appKey)
  return {
    profile,
    primitives,
    psk,
    sections: profile.name,
    identity,
    protocol: new Noise.Protocol(primitives, profile.pattern, Noise.blake2b(primitives)),
    x25519: {
      publicKey: withSecret(primitives.x25519PublicKey),
      agree: (publicKey) => withSecret((secretKey) => primitives.x25519(secretKey, publicKey))
    },
    ephemeral,
    keys: new ConvertedKeys(primitives)
  }
}

/** The same side with transforms of these names above, the nearest first. */
export const under = (local: Local, above: ReadonlyArray<string>): Local => ({
  ...local,
  sections: [local.sections, ...above].join("~")
})

/** The result for both sides: key and nonce of each direction, and the handshake's hash. */
export interface Session {
  readonly encrypt: Direction
  readonly decrypt: Direction
  /**
   * 64 bytes: the hash of all that was exchanged, the same on both sides and different in every session. It is scratch
   * memory: copy what you keep.
   */
  readonly hash: Uint8Array
}

type Step<A> = Result.Result<A, Failure>

const network: Failure = { _tag: "network" }
const misbehaved = (detail: string): Failure => ({ _tag: "misbehaved", detail })

/** `forged` is the failure for a message that does not open. No honest peer sends a key that is good for nothing. */
const step = <A>(result: Result.Result<A, Noise.Failure>, forged: Failure): Step<A> =>
  Result.mapError(result, (failure) => (failure === "forged" ? forged : misbehaved(failure)))

const tokenLength = 32
const noToken = new Uint8Array(tokenLength)

/** The peer that the initiator dials. */
interface Responder {
  readonly publicKey: PublicKey
  readonly x25519: Uint8Array
}

const begin = (
  { ephemeral, identity, profile, protocol, psk, sections, x25519 }: Local,
  responder: Responder | undefined,
  secrets: Secrets
): Noise.NoiseHandshake =>
  secrets.keep(
    profile.handshake({
      protocol,
      role: responder === undefined ? "responder" : "initiator",
      // The key as Ed25519, because a key and its negative have the same X25519 form.
      prologue: concat(encode(`${profile.label}\0`), responder?.publicKey ?? identity.publicKey, encode(sections)),
      ephemeral,
      local: x25519,
      remote: responder?.x25519,
      psks: [psk]
    })
  )

const split = (handshake: Noise.NoiseHandshake, secrets: Secrets): Session => {
  const { hash, receive, send } = handshake.split()
  secrets.keep(send)
  secrets.keep(receive)
  const nonce = scratch(12)
  return { encrypt: { key: send, nonce }, decrypt: { key: receive, nonce }, hash }
}

const afterAccept = Uint8Array.of(0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0)
/** A direction after its first frame, the accept, which took two nonces. */
const accepted = ({ key }: Direction): Direction => ({ key, nonce: afterAccept })

// -----------------------------------------------------------------------------
// initiator
// -----------------------------------------------------------------------------

/** The initiator has sent its hello. */
export interface AwaitChallenge {
  readonly local: Local
  readonly secrets: Secrets
  readonly handshake: Noise.NoiseHandshake
  readonly responder: Responder
}

/** The initiator has sent its auth message. */
export interface AwaitAccept {
  readonly local: Local
  readonly session: Session
  readonly frames: NoiseFrames
  readonly responder: Responder
}

/** Makes the hello. `secrets` collects each secret of this handshake, so that all are wiped at its end. */
export const initiatorHello = (
  local: Local,
  publicKey: PublicKey,
  secrets: Secrets
): Step<{ readonly message: Uint8Array; readonly next: AwaitChallenge }> => {
  const x25519 = local.keys.convert(publicKey)
  if (x25519 === undefined) return Result.fail(misbehaved("the key of the address is not a valid Ed25519 public key"))
  const responder = { publicKey, x25519 }
  const handshake = begin(local, responder, secrets)
  return Result.map(step(handshake.write(empty), network), (message) => ({
    message,
    next: { local, secrets, handshake, responder }
  }))
}

/** Checks the challenge and makes the auth message. Only a peer with the address's key can make such a challenge. */
export const initiatorAuth = (
  { handshake, local, responder, secrets }: AwaitChallenge,
  challenge: Uint8Array,
  token: Uint8Array = noToken
): Step<{ readonly message: Uint8Array; readonly next: AwaitAccept }> =>
  step(
    Result.flatMap(handshake.read(challenge), () =>
      Result.map(handshake.write(secrets.keep(concat(local.identity.publicKey, token))), (message) => {
        const session = split(handshake, secrets)
        const frames = secrets.keep(new NoiseFrames(local.primitives, session.decrypt, scratch(stateLength)))
        return { message, next: { local, session, frames, responder } }
      })
    ),
    network
  )

const notAccepted = ({ frames, local: { primitives }, session }: AwaitAccept, detail: string) => {
  primitives.wipe(session.encrypt.key)
  primitives.wipe(session.decrypt.key)
  frames.wipe()
  return Result.fail(misbehaved(detail))
}

/** Checks the accept frame's head, which announces a body of one byte. */
export const initiatorAcceptHead = (state: AwaitAccept, head: Uint8Array): Step<AwaitAccept> => {
  const length = state.frames.openHead(head)
  if (length === acceptBodyLength) return Result.succeed(state)
  return notAccepted(state, length === "end" ? "it said goodbye, not its accept" : "its accept does not open")
}

/** Checks the accept frame's body, which says that the responder has let this side in, and makes the session. */
export const initiatorAcceptBody = (state: AwaitAccept, body: Uint8Array): Step<Session> => {
  if (state.frames.openBody(body, body) !== 1 || body[0] !== 0) return notAccepted(state, "its accept does not open")
  const { frames, local, responder, session } = state
  frames.wipe()
  local.keys.proved(responder.publicKey, responder.x25519)
  return Result.succeed({ ...session, decrypt: accepted(session.decrypt) })
}

// -----------------------------------------------------------------------------
// responder
// -----------------------------------------------------------------------------

/** The responder has sent its challenge. */
export interface AwaitAuth {
  readonly local: Local
  readonly secrets: Secrets
  readonly handshake: Noise.NoiseHandshake
}

/** The initiator has proved its key. `authorize` decides whether it may connect. */
export interface AwaitDecision {
  readonly initiator: PublicKey
  readonly token: Option.Option<Redacted.Redacted<Uint8Array>>
  readonly local: Local
  readonly session: Session
}

/**
 * Checks the hello and makes the challenge. A hello that was made with another network key, another responder's key or
 * other sections gets no answer. A valid hello that is replayed is answered each time.
 */
export const responderChallenge = (
  local: Local,
  hello: Uint8Array,
  secrets: Secrets = new Secrets(local.primitives)
): Step<{ readonly message: Uint8Array; readonly next: AwaitAuth }> => {
  const handshake = begin(local, undefined, secrets)
  return step(
    Result.flatMap(handshake.read(hello), () =>
      Result.map(handshake.write(empty), (message) => ({ message, next: { local, secrets, handshake } }))
    ),
    network
  )
}

/** Checks the auth message, which proves that the initiator holds its key. */
export const responderVerify = ({ handshake, local, secrets }: AwaitAuth, auth: Uint8Array): Step<AwaitDecision> =>
  Result.flatMap(step(handshake.read(auth), misbehaved("its auth message does not open")), (payload) => {
    const { keys, primitives } = local
    const initiator = uncheckedPublicKey(payload.slice(0, 32))
    const token = secrets.keep(payload.slice(32))
    primitives.wipe(payload)
    const proved = handshake.remoteStatic
    const claimed = keys.convert(initiator)
    if (proved === undefined || claimed === undefined || !primitives.equal(claimed, proved)) {
      handshake.wipe()
      return Result.fail(
        misbehaved(
          claimed === undefined
            ? "its public key is not a valid Ed25519 public key"
            : "its public key is not the one that it proved"
        )
      )
    }
    keys.proved(initiator, claimed)
    return Result.succeed({
      initiator,
      token: primitives.equal(token, noToken) ? Option.none() : Option.some(Redacted.make(token, { label: "token" })),
      local,
      session: split(handshake, secrets)
    })
  })

/** Makes the accept frame and the session, once `authorize` has admitted the initiator. */
export const responderAccept = ({
  local: { primitives },
  session
}: AwaitDecision): { readonly message: Uint8Array; readonly session: Session } => {
  const message = scratch(acceptHeadLength + acceptBodyLength)
  const sealer = new NoiseSealer(primitives, session.encrypt, scratch(stateLength))
  sealer.seal(message, 0, 1)
  sealer.wipe()
  return { message, session: { ...session, encrypt: accepted(session.encrypt) } }
}
