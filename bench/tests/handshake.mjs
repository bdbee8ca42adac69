/**
 * The CPU of a handshake without a network: our state machine, both sides, and for shs beside it the primitives that
 * the protocol needs, called bare. Both know each other's keys already, as peers that meet again do. The two take
 * turns, so that they have the same machine.
 */
import { cpuSeconds, warmUp } from "../measure.mjs"
import { effect, own, require } from "../ours.mjs"
import { rowOf } from "../peers/registry.mjs"

export const handshake = (child, { peer, seconds }) =>
  child.do("alone", { path: import.meta.url, peer: rowOf(peer), seconds })

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

/** The services of a layer, by the modules that name them. */
const servicesOf = async (layer, ...names) => {
  const [Effect, Layer] = await Promise.all(["Effect", "Layer"].map(effect))
  const { mapUnsafe } = Effect.runSync(Effect.scoped(Layer.build(layer)))
  return names.map(({ key }) => mapUnsafe.get(key))
}

/** What each state machine below begins with: libsodium, and the key pairs of both sides. */
const beginning = async () => {
  const Redacted = await effect("Redacted")
  const [Identity, Sodium, { NoisePrimitives }, { ConvertedKeys }, { Secrets }] = await Promise.all(
    ["Identity", "crypto/Sodium", "crypto/Primitives", "handshake/convertedKeys", "handshake/secrets"].map(own)
  )
  const [service] = await servicesOf(Sodium.layer, NoisePrimitives)
  const pairOf = (seed) => Identity.fromSeed(service, Redacted.make(new Uint8Array(32).fill(seed)))
  return {
    service,
    pairs: [pairOf(1), pairOf(2)],
    appKey: new Uint8Array(32).fill(7),
    keys: () => new ConvertedKeys(service),
    secrets: () => new Secrets(service)
  }
}

const shs = async () => {
  const { getOrThrow: get } = await effect("Result")
  const Handshake = await own("shs/ShsHandshake")
  const { appKey, keys, pairs, secrets, service } = await beginning()
  const [client, server] = pairs
  const [clientKeys, serverKeys] = [keys(), keys()]
  const local = (identity, keys) => ({
    primitives: service,
    appKey,
    identity,
    ephemeral: service.x25519KeyPair(),
    keys,
    secrets: secrets()
  })
  return () => {
    const hello = Handshake.clientHello(local(client, clientKeys), server.publicKey)
    const challenge = get(Handshake.serverChallenge(local(server, serverKeys), hello.message))
    const auth = get(Handshake.clientAuth(hello.next, challenge.message))
    const decision = get(Handshake.serverVerify(challenge.next, auth.message))
    const accept = Handshake.serverAccept(decision)
    get(Handshake.clientFinish(auth.next, accept.message))
  }
}

const ofNoise = async (profile) => {
  const { getOrThrow: get } = await effect("Result")
  const Profile = await own("xk/NoiseProfile")
  const { appKey, pairs, secrets, service } = await beginning()
  const [initiator, responder] = pairs.map((pair) => Profile.local(profile, service, appKey, pair))
  return () => {
    const hello = get(Profile.initiatorHello(initiator, responder.identity.publicKey, secrets()))
    const challenge = get(Profile.responderChallenge(responder, hello.message, secrets()))
    const auth = get(Profile.initiatorAuth(hello.next, challenge.message))
    const accept = Profile.responderAccept(get(Profile.responderVerify(challenge.next, auth.message)))
    const head = get(Profile.initiatorAcceptHead(auth.next, accept.message.subarray(0, 18)))
    get(Profile.initiatorAcceptBody(head, accept.message.subarray(18)))
  }
}

const noisepq = async () => {
  const [NodeKem, { Kem }, { profile }] = await Promise.all(["crypto/NodeKem", "crypto/Kem", "noisepq/XKhfs"].map(own))
  const [kem] = await servicesOf(NodeKem.layer, Kem)
  return ofNoise(profile(kem))
}

/** What takes turns for each row. */
const sidesOf = {
  ours: async () => ({ primitivesMicros: primitives(), machineMicros: await shs() }),
  "ours-noise": async () => ({ machineMicros: await ofNoise((await own("noise/XKpsk0")).profile) }),
  "ours-noisepq": async () => ({ machineMicros: await noisepq() })
}

export const alone = async ({ peer, seconds }) => {
  const named = await sidesOf[peer]()
  const sides = Object.values(named)
  const cpu = sides.map(() => 0)
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
  return Object.fromEntries(Object.keys(named).map((name, i) => [name, (cpu[i] / handshakes) * 1e6]))
}
