/**
 * The shs1 handshake as pure steps (docs/wire.md). Each step takes a message, and returns the next message with the
 * state for the step after it, or a failure. No I/O, no clock. The ephemeral key pair is passed in, so that tests can
 * check every byte.
 *
 * ```
 * client                                        server
 * hello      HMAC(K,a) a            64 ->
 *                                    <- 64      challenge  HMAC(K,b) b
 * auth       box(sigA A)           112 ->
 *                                    <- 80      accept     box(sigB)
 * ```
 */
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type { KeyPairBytes, Primitives } from "../crypto/Primitives.ts"
import { uncheckedPublicKey } from "../crypto/publicKey.ts"
import { concat, scratch } from "../crypto/scratch.ts"
import type { ConvertedKeys } from "../handshake/convertedKeys.ts"
import type { Failure } from "../handshake/errors.ts"
import type { Secrets } from "../handshake/secrets.ts"
import type { KeyPair, PublicKey } from "../Identity.ts"
import type { Direction } from "./BoxStream.ts"

/** The lengths of the four messages. */
export const lengths = { hello: 64, challenge: 64, auth: 112, accept: 80 } as const

/** What one side brings to a handshake. */
export interface Local {
  readonly primitives: Primitives["Service"]
  /** The network key, 32 bytes. */
  readonly appKey: Uint8Array
  readonly identity: KeyPair
  /** A fresh X25519 pair. */
  readonly ephemeral: KeyPairBytes
  /** Converts peers' keys to X25519. */
  readonly keys: ConvertedKeys
  /** Collects the secrets that the steps make, so that they are wiped. The caller adds the ephemeral secret key. */
  readonly secrets: Secrets
}

/** The result for both sides: key and first nonce of each direction. */
export interface Session {
  readonly encrypt: Direction
  readonly decrypt: Direction
}

type Step<A> = Result.Result<A, Failure>

const wrongNetwork = Result.fail<Failure>({ _tag: "network" })
const smallOrder = "its ephemeral key is a point of small order"
const misbehaved = (detail: string): Result.Result<never, Failure> => Result.fail({ _tag: "misbehaved", detail })

/** Computes a value at the first call and remembers it. So it can be computed early, while the peer works. */
const once = <A>(compute: () => A): (() => A) => {
  let done: { readonly value: A } | undefined
  return () => {
    done ??= { value: compute() }
    return done.value
  }
}

const zeroNonce = new Uint8Array(24)

/** Computes a value over the concatenation of secrets, then wipes the concatenation. */
const overSecrets = <A>(
  primitives: Primitives["Service"],
  parts: ReadonlyArray<Uint8Array>,
  compute: (joined: Uint8Array) => A
): A => {
  const joined = concat(...parts)
  const out = compute(joined)
  primitives.wipe(joined)
  return out
}

const hashSecret = (primitives: Primitives["Service"], ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  overSecrets(primitives, parts, primitives.sha256)

/** HMAC(K, ephemeral) ‖ ephemeral: the hello and the challenge. */
const greeting = ({ appKey, ephemeral, primitives }: Local): Uint8Array =>
  concat(primitives.hmac(appKey, ephemeral.publicKey), ephemeral.publicKey)

/** Checks a hello or challenge. Gives the peer's ephemeral key, and the secret that it shares with ours. */
const readGreeting = (
  { appKey, ephemeral, primitives, secrets }: Local,
  message: Uint8Array
): Step<{ readonly key: Uint8Array; readonly shared: Uint8Array }> => {
  const key = message.subarray(32, 64)
  if (!primitives.equal(primitives.hmac(appKey, key), message.subarray(0, 32))) return wrongNetwork
  const shared = secrets.keep(primitives.x25519(ephemeral.secretKey, key))
  return shared === undefined ? misbehaved(smallOrder) : Result.succeed({ key, shared })
}

const session = (
  { appKey, ephemeral, identity, primitives, secrets }: Local,
  remote: { readonly publicKey: Uint8Array; readonly ephemeral: Uint8Array },
  acceptKey: Uint8Array
): Session => {
  const secret = primitives.sha256(acceptKey)
  const direction = (longTerm: Uint8Array, ephemeralKey: Uint8Array): Direction => ({
    key: secrets.keep(hashSecret(primitives, secret, longTerm)),
    nonce: primitives.hmac(appKey, ephemeralKey).subarray(0, 24)
  })
  const keys = {
    encrypt: direction(remote.publicKey, remote.ephemeral),
    decrypt: direction(identity.publicKey, ephemeral.publicKey)
  }
  for (const spent of [secret, acceptKey, ephemeral.secretKey]) primitives.wipe(spent)
  return keys
}

const withX25519 = <A>({ identity, primitives }: Local, use: (secretKey: Uint8Array) => A): A => {
  const secretKey = primitives.x25519FromSecretKey(Redacted.value(identity.secretKey))
  const out = use(secretKey)
  primitives.wipe(secretKey)
  return out
}

/** Signs the parts joined. Each side's parts end with the hash of the shared ephemeral secret. */
const sign = ({ identity, primitives }: Local, ...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  overSecrets(primitives, parts, (message) => primitives.sign(message, Redacted.value(identity.secretKey)))

const verify = (
  { primitives }: Local,
  signature: Uint8Array,
  publicKey: Uint8Array,
  ...parts: ReadonlyArray<Uint8Array>
): boolean => overSecrets(primitives, parts, (message) => primitives.verify(signature, message, publicKey))

// -----------------------------------------------------------------------------
// client
// -----------------------------------------------------------------------------

/** The client has sent its hello. */
export interface AwaitChallenge {
  readonly local: Local
  readonly server: PublicKey
  /** The secret shared with the server's key. Call it once the hello is sent, to compute while the server does. */
  readonly sharedLong: () => ServerSecret
}

/** `x25519` is the server's key converted to X25519. Either is `undefined` when the key is not valid. */
interface ServerSecret {
  readonly x25519: Uint8Array | undefined
  readonly shared: Uint8Array | undefined
}

/** The client has sent its auth message. */
export interface AwaitAccept {
  readonly local: Local
  readonly server: PublicKey
  readonly serverEphemeral: Uint8Array
  /** sigA ‖ A, which the server signs. */
  readonly hello: Uint8Array
  /** SHA-256 of the secret that the two ephemeral keys share. */
  readonly sharedHash: Uint8Array
  /** The server's key converted to X25519. */
  readonly serverX25519: Uint8Array
  /**
   * The key that opens the accept message; `undefined` when the server's ephemeral key gives no shared secret. Call it
   * once the auth message is sent, to compute while the server does.
   */
  readonly acceptKey: () => Uint8Array | undefined
}

export const clientHello = (
  local: Local,
  server: PublicKey
): { readonly message: Uint8Array; readonly next: AwaitChallenge } => ({
  message: greeting(local),
  next: {
    local,
    server,
    sharedLong: once(() => {
      const x25519 = local.keys.convert(server)
      const shared = x25519 && local.primitives.x25519(local.ephemeral.secretKey, x25519)
      return { x25519, shared: local.secrets.keep(shared) }
    })
  }
})

/** Checks the challenge and makes the auth message. */
export const clientAuth = (
  state: AwaitChallenge,
  challenge: Uint8Array
): Step<{ readonly message: Uint8Array; readonly next: AwaitAccept }> => {
  const { local, server } = state
  const { appKey, identity, primitives, secrets } = local
  return Result.flatMap(readGreeting(local, challenge), ({ key: serverEphemeral, shared }) => {
    const { shared: sharedLong, x25519: serverX25519 } = state.sharedLong()
    if (serverX25519 === undefined || sharedLong === undefined) {
      return misbehaved("the key of the address is not a valid Ed25519 public key")
    }
    const sharedHash = secrets.keep(primitives.sha256(shared))
    const hello = concat(sign(local, appKey, server, sharedHash), identity.publicKey)
    const authKey = hashSecret(primitives, appKey, shared, sharedLong)
    const message = scratch(lengths.auth)
    primitives.boxSeal(message, hello, zeroNonce, authKey)
    primitives.wipe(authKey)
    const acceptKey = once(() => {
      const sharedAccept = withX25519(local, (secretKey) => primitives.x25519(secretKey, serverEphemeral))
      const key = secrets.keep(sharedAccept && hashSecret(primitives, appKey, shared, sharedLong, sharedAccept))
      for (const spent of [shared, sharedLong, sharedAccept]) if (spent !== undefined) primitives.wipe(spent)
      return key
    })
    return Result.succeed({
      message,
      next: { local, server, serverEphemeral, serverX25519, hello, sharedHash, acceptKey }
    })
  })
}

/** Checks the accept message, which proves that the server holds the address's key and has let this client in. */
export const clientFinish = (state: AwaitAccept, accept: Uint8Array): Step<Session> => {
  const { hello, local, server, serverEphemeral, serverX25519, sharedHash } = state
  const { appKey, keys, primitives } = local
  const acceptKey = state.acceptKey()
  if (acceptKey === undefined) return misbehaved(smallOrder)
  const signature = scratch(64)
  if (!primitives.boxOpen(signature, accept, zeroNonce, acceptKey))
    return misbehaved("its accept message does not open")
  if (!verify(local, signature, concat(server), appKey, hello, sharedHash)) {
    return misbehaved("its signature is not valid")
  }
  keys.proved(server, serverX25519)
  return Result.succeed(session(local, { publicKey: server, ephemeral: serverEphemeral }, acceptKey))
}

// -----------------------------------------------------------------------------
// server
// -----------------------------------------------------------------------------

/** The server has sent its challenge. */
export interface AwaitAuth {
  readonly local: Local
  readonly clientEphemeral: Uint8Array
  readonly shared: Uint8Array
  /**
   * The secret that the server's key shares with the client's ephemeral key; `undefined` when there is none. Can be
   * called once the challenge is sent, to compute while the client does.
   */
  readonly sharedLong: () => Uint8Array | undefined
}

/** The client has proved its key. `authorize` decides whether it may connect. */
export interface AwaitDecision {
  readonly local: Local
  readonly client: PublicKey
  readonly clientEphemeral: Uint8Array
  readonly hello: Uint8Array
  readonly sharedHash: Uint8Array
  readonly acceptKey: Uint8Array
}

/** Checks the hello and makes the challenge. A client that does not know the network key gets no answer. */
export const serverChallenge = (
  local: Local,
  hello: Uint8Array
): Step<{ readonly message: Uint8Array; readonly next: AwaitAuth }> =>
  Result.map(readGreeting(local, hello), ({ key: clientEphemeral, shared }) => ({
    message: greeting(local),
    next: {
      local,
      clientEphemeral,
      shared,
      sharedLong: once(() =>
        local.secrets.keep(withX25519(local, (secretKey) => local.primitives.x25519(secretKey, clientEphemeral)))
      )
    }
  }))

/** Checks the auth message, which proves that the client holds its key. */
export const serverVerify = (state: AwaitAuth, auth: Uint8Array): Step<AwaitDecision> => {
  const { clientEphemeral, local, shared } = state
  const { appKey, ephemeral, identity, keys, primitives, secrets } = local
  const sharedLong = state.sharedLong()
  if (sharedLong === undefined) return misbehaved(smallOrder)
  const authKey = hashSecret(primitives, appKey, shared, sharedLong)
  const hello = scratch(96)
  const opened = primitives.boxOpen(hello, auth, zeroNonce, authKey)
  primitives.wipe(authKey)
  if (!opened) return misbehaved("its auth message does not open: it is for another key, or was altered")
  // A copy that no native call sees stays a small array on V8's heap. It lives as long as the connection.
  const client = uncheckedPublicKey(hello.slice(64))
  const clientX25519 = keys.convert(client)
  if (clientX25519 === undefined) return misbehaved("its public key is not a valid Ed25519 public key")
  const sharedHash = secrets.keep(primitives.sha256(shared))
  const signature = hello.subarray(0, 64)
  if (!verify(local, signature, hello.subarray(64), appKey, identity.publicKey, sharedHash))
    return misbehaved("its signature is not valid")
  keys.proved(client, clientX25519)
  const sharedAccept = primitives.x25519(ephemeral.secretKey, clientX25519)
  if (sharedAccept === undefined) return misbehaved("its public key is a point of small order")
  const acceptKey = secrets.keep(hashSecret(primitives, appKey, shared, sharedLong, sharedAccept))
  for (const spent of [shared, sharedLong, sharedAccept]) primitives.wipe(spent)
  return Result.succeed({ local, client, clientEphemeral, hello, sharedHash, acceptKey })
}

/** Makes the accept message and the session, once `authorize` has admitted the client. */
export const serverAccept = (state: AwaitDecision): { readonly message: Uint8Array; readonly session: Session } => {
  const { acceptKey, client, clientEphemeral, hello, local, sharedHash } = state
  const message = scratch(lengths.accept)
  const signature = sign(local, local.appKey, hello, sharedHash)
  local.primitives.boxSeal(message, signature, zeroNonce, acceptKey)
  return { message, session: session(local, { publicKey: client, ephemeral: clientEphemeral }, acceptKey) }
}
