/**
 * The CPU of a handshake without a network: our state machine, both sides, beside the primitives that the protocol
 * needs, called bare. Both know each other's keys already, as peers that meet again do. The two take turns, so that
 * they have the same machine.
 */
import { cpuSeconds, warmUp } from "../measure.mjs"
import { effect, own, require } from "../ours.mjs"

export const handshake = (child, { seconds }) => child.do("alone", { path: import.meta.url, seconds })

/** What each side has to compute, whatever the code around it (wire.md 1.1 to 1.4). */
const primitives = () => {
  const sodium = require("sodium-native")
  const bytes = (length) => new Uint8Array(length)
  const [publicKey, secretKey, shared, hash, mac, nonce] = [32, 32, 32, 32, 32, 24].map(bytes)
  const [signingKey, signingSecret, signature] = [32, 64, 64].map(bytes)
  const [peer, peerSecret] = [bytes(32), bytes(32)]
  sodium.crypto_box_keypair(peer, peerSecret)
  sodium.crypto_sign_seed_keypair(signingKey, signingSecret, bytes(32).fill(3))
  const signed = bytes(96)
  const [auth, authBox, accept, acceptBox] = [96, 112, 64, 80].map(bytes)
  const side = (sealAuth) => {
    sodium.crypto_box_keypair(publicKey, secretKey)
    sodium.crypto_sign_ed25519_sk_to_curve25519(shared, signingSecret)
    for (let i = 0; i < 3; i++) sodium.crypto_scalarmult(shared, secretKey, peer)
    sodium.crypto_sign_detached(signature, signed, signingSecret)
    if (!sodium.crypto_sign_verify_detached(signature, signed, signingKey)) throw new Error("signature")
    // Of the two greetings, and both nonces.
    for (let i = 0; i < 4; i++) sodium.crypto_auth(mac, publicKey, hash)
    // Of the shared secret, for the two boxes, and for the keys of both directions.
    for (let i = 0; i < 6; i++) sodium.crypto_hash_sha256(hash, signed)
    if (sealAuth) {
      sodium.crypto_secretbox_easy(authBox, auth, nonce, shared)
      sodium.crypto_secretbox_easy(acceptBox, accept, nonce, shared)
    } else {
      sodium.crypto_secretbox_open_easy(auth, authBox, nonce, shared)
      sodium.crypto_secretbox_open_easy(accept, acceptBox, nonce, shared)
    }
  }
  return () => {
    side(true)
    side(false)
  }
}

const machine = async () => {
  const [Effect, Layer, Redacted, Result] = await Promise.all(["Effect", "Layer", "Redacted", "Result"].map(effect))
  const [Handshake, Identity, Sodium, { Primitives }, { ConvertedKeys }, { Secrets }] = await Promise.all(
    [
      "shs/ShsHandshake",
      "Identity",
      "crypto/Sodium",
      "crypto/Primitives",
      "handshake/convertedKeys",
      "handshake/secrets"
    ].map(own)
  )
  const service = Effect.runSync(
    Effect.scoped(Effect.map(Layer.build(Sodium.layer), (context) => context))
  ).mapUnsafe.get(Primitives.key)
  const pairOf = (seed) => Identity.fromSeed(service, Redacted.make(new Uint8Array(32).fill(seed)))
  const [client, server] = [pairOf(1), pairOf(2)]
  const [clientKeys, serverKeys] = [new ConvertedKeys(service), new ConvertedKeys(service)]
  const appKey = new Uint8Array(32).fill(7)
  const local = (identity, keys) => ({
    primitives: service,
    appKey,
    identity,
    ephemeral: service.x25519KeyPair(),
    keys,
    secrets: new Secrets(service)
  })
  const get = Result.getOrThrow
  return () => {
    const hello = Handshake.clientHello(local(client, clientKeys), server.publicKey)
    const challenge = get(Handshake.serverChallenge(local(server, serverKeys), hello.message))
    const auth = get(Handshake.clientAuth(hello.next, challenge.message))
    const decision = get(Handshake.serverVerify(challenge.next, auth.message))
    const accept = Handshake.serverAccept(decision)
    get(Handshake.clientFinish(auth.next, accept.message))
  }
}

export const alone = async ({ seconds }) => {
  const sides = [primitives(), await machine()]
  const cpu = [0, 0]
  const slice = 100
  const turns = (end, count) => {
    let rounds = 0
    for (; cpuSeconds() < end; rounds++) {
      for (const [i, run] of sides.entries()) {
        const before = cpuSeconds()
        for (let n = 0; n < slice; n++) run()
        if (count) cpu[i] += cpuSeconds() - before
      }
    }
    return rounds * slice
  }
  turns(cpuSeconds() + warmUp, false)
  const handshakes = turns(cpuSeconds() + seconds, true)
  const [primitivesMicros, machineMicros] = cpu.map((spent) => (spent / handshakes) * 1e6)
  return { primitivesMicros, machineMicros }
}
