import { assert, describe, it } from "@effect/vitest"
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { Secrets } from "../../src/handshake/secrets.ts"
import { PublicKey } from "../../src/Identity.ts"
import { profile as xkpsk0 } from "../../src/noise/XKpsk0.ts"
import { profile as xkhfs } from "../../src/noisepq/XKhfs.ts"
import { codec, NoiseFrames, NoiseSealer } from "../../src/xk/NoiseFrames.ts"
import * as Profile from "../../src/xk/NoiseProfile.ts"
import { libraries } from "../support/primitives.ts"
import { concat, hex } from "../support/vectors.ts"
import { type Handshake, hybrid, named, profile } from "./vectors.ts"

type Library = (typeof libraries)[number]

/** The KEM with the seed and the coins of the vectors. */
const fixed = ({ kem }: Library): Library["kem"] => ({
  ...kem,
  keyPair: () => kem.keyPair(hybrid.kem.seed),
  encapsulate: (publicKey) => {
    const { cipherText, sharedSecret } = ml_kem768.encapsulate(publicKey, hybrid.kem.coins)
    return { ciphertext: cipherText, secret: sharedSecret }
  }
})

const sets = [
  { name: "noise", of: () => xkpsk0, vectors: profile },
  { name: "noisepq", of: (library: Library) => xkhfs(fixed(library)), vectors: hybrid }
]

const cases = libraries.flatMap((each) => sets.map((set) => ({ ...each, ...set, own: set.of(each) })))

describe.each(cases)("on $library: > the $name profile", ({ own, primitives, vectors }) => {
  const plain = named(vectors.handshakes, "plain")
  const local = (
    { app_key, sections }: Pick<Handshake, "app_key" | "sections">,
    keys: Handshake["initiator"],
    { public: publicKey, secret }: Handshake["initiator_ephemeral"]
  ): Profile.Local =>
    Profile.under(
      Profile.local(
        own,
        primitives,
        app_key,
        {
          publicKey: PublicKey.make(keys.public_key),
          secretKey: Redacted.make(concat([keys.seed, keys.public_key]))
        },
        () => ({ publicKey: publicKey.slice(), secretKey: secret.slice() })
      ),
      sections.split("~").slice(1)
    )

  const initiator = (v: Handshake) => local(v, v.initiator, v.initiator_ephemeral)
  const responder = (v: Handshake) => local(v, v.responder, v.responder_ephemeral)
  const begun = (own: Profile.Local, key: Uint8Array) =>
    Profile.initiatorHello(own, PublicKey.make(key), new Secrets(primitives))
  const hello = (v: Handshake) => Result.getOrThrow(begun(initiator(v), v.responder.public_key))
  const auth = (v: Handshake) =>
    Result.getOrThrow(Profile.initiatorAuth(hello(v).next, v.challenge, v.token ?? undefined))
  const challenge = (v: Handshake) => Result.getOrThrow(Profile.responderChallenge(responder(v), v.hello))

  const finish = (state: Profile.AwaitAccept, frame: Uint8Array) =>
    Result.flatMap(Profile.initiatorAcceptHead(state, frame.slice(0, 18)), (next) =>
      Profile.initiatorAcceptBody(next, frame.slice(18))
    )

  const second = "000000000200000000000000"
  const zero = "000000000000000000000000"

  it.each(vectors.handshakes.map((vector) => [vector.id, vector] as const))(
    "follows vector %s to the byte, both roles",
    (_, v) => {
      assert.strictEqual(hex(initiator(v).psk), hex(v.psk))
      assert.strictEqual(hex(hello(v).message), hex(v.hello))
      assert.strictEqual(hex(challenge(v).message), hex(v.challenge))
      const sent = auth(v)
      assert.strictEqual(hex(sent.message), hex(v.auth))
      const decision = Result.getOrThrow(Profile.responderVerify(challenge(v).next, v.auth))
      assert.strictEqual(hex(decision.initiator), hex(v.initiator.public_key))
      assert.strictEqual(
        Option.match(decision.token, { onNone: () => null, onSome: (token) => hex(Redacted.value(token)) }),
        v.token && hex(v.token)
      )
      const accept = Profile.responderAccept(decision)
      assert.strictEqual(hex(accept.message), hex(v.accept))
      const [there, back] = [v.initiator_to_responder_key, v.responder_to_initiator_key].map(hex)
      const show = ({ decrypt, encrypt }: Profile.Session) =>
        [encrypt.key, encrypt.nonce, decrypt.key, decrypt.nonce].map(hex)
      assert.deepStrictEqual(show(Result.getOrThrow(finish(sent.next, v.accept))), [there, zero, back, second])
      assert.deepStrictEqual(show(accept.session), [back, second, there, zero])
      assert.strictEqual(hex(accept.session.hash), hex(v.handshake_hash))
      assert.strictEqual(hex(sent.next.session.hash), hex(v.handshake_hash))
    }
  )

  it.each(vectors.handshakes.map((vector) => [vector.id, vector] as const))(
    "holds the whole session of vector %s to the byte, both roles",
    (_, v) => {
      const sent = auth(v)
      const near = Result.getOrThrow(finish(sent.next, v.accept))
      const answered = challenge(v)
      const decision = Result.getOrThrow(Profile.responderVerify(answered.next, v.auth))
      const far = Profile.responderAccept(decision)
      const { initiator_wire, initiator_writes, responder_wire, responder_writes } = v.session
      const spoken = (session: Profile.Session, writes: ReadonlyArray<string>) => {
        const { sealer } = codec(primitives, session)
        const frames = writes.map((text) => {
          const stage = new Uint8Array(sealer.head + text.length + sealer.tail)
          stage.set(Buffer.from(text), sealer.head)
          sealer.seal(stage, 0, text.length)
          return stage
        })
        const end = new Uint8Array(sealer.endLength)
        sealer.sealEnd(end, 0)
        return [...frames, end]
      }
      const toFar = { key: near.encrypt.key.slice(), nonce: near.encrypt.nonce }
      const toNear = { key: far.session.encrypt.key.slice(), nonce: far.session.encrypt.nonce }
      const initiated = concat([hello(v).message, sent.message, ...spoken(near, initiator_writes)])
      const responded = concat([answered.message, far.message, ...spoken(far.session, responder_writes)])
      assert.strictEqual(hex(initiated), hex(initiator_wire))
      assert.strictEqual(hex(responded), hex(responder_wire))
      const heard = (key: NoiseFrames, wire: Uint8Array) => {
        const texts: Array<string> = []
        for (let at = 0; ; ) {
          const length = key.openHead(wire.subarray(at, at + 18))
          if (typeof length !== "number") return [...texts, length, wire.length - at - 18]
          const plain = new Uint8Array(length)
          const opened = key.openBody(wire.subarray(at + 18, at + 18 + length), plain)
          texts.push(new TextDecoder().decode(plain.subarray(0, opened)))
          at += 18 + length
        }
      }
      const [ofNear, ofFar] = [new NoiseFrames(primitives, toFar), new NoiseFrames(primitives, toNear)]
      assert.deepStrictEqual(heard(ofNear, initiator_wire.subarray(own.hello + 128)), [...initiator_writes, "end", 0])
      assert.deepStrictEqual(heard(ofFar, responder_wire.subarray(own.challenge + 35)), [...responder_writes, "end", 0])
    }
  )

  it("does not answer a hello for other sections than its own, with the same key and app key", () => {
    const meant = named(vectors.handshakes, "under-deflate")
    for (const [asked, listening] of [
      [meant, plain],
      [plain, meant]
    ] as const) {
      assert.strictEqual(hex(asked.psk), hex(listening.psk))
      const answer = Profile.responderChallenge(responder(listening), asked.hello)
      assert.strictEqual(Result.getOrThrow(Result.flip(answer))._tag, "network")
    }
  })

  it("answers a hello that is played again, each time with another challenge", () => {
    const awake: Profile.Local = { ...responder(plain), ephemeral: primitives.x25519KeyPair }
    const answers = [1, 2, 3].map(() => hex(Result.getOrThrow(Profile.responderChallenge(awake, plain.hello)).message))
    assert.strictEqual(new Set(answers).size, 3)
    // Whoever plays it again has no use of the answer: what was said next does not open.
    const again = Result.getOrThrow(Profile.responderChallenge(awake, plain.hello))
    assert.isTrue(Result.isFailure(Profile.responderVerify(again.next, plain.auth)))
  })

  it("gives whoever gets a direction's key all keys after it, and none before", () => {
    const key = new Uint8Array(32).fill(9)
    const start = new Uint8Array(12)
    new DataView(start.buffer).setBigUint64(4, 2n * 65_536n - 2n, true)
    const sealer = new NoiseSealer(primitives, { key, nonce: start })
    const frame = () => {
      const stage = new Uint8Array(18 + 4 + 16).fill(7, 18, 22)
      sealer.seal(stage, 0, 4)
      return stage
    }
    const [last, next] = [frame(), frame()]
    const sealed = new Uint8Array(48)
    primitives.aeadSeal(sealed, new Uint8Array(32), new Uint8Array(0), new Uint8Array(12).fill(0xff, 4), key)
    const derived = sealed.slice(0, 32)
    const nonce = new Uint8Array(12)
    new DataView(nonce.buffer).setBigUint64(4, 2n * 65_536n, true)
    assert.strictEqual(new NoiseFrames(primitives, { key: derived, nonce }).openHead(next.slice(0, 18)), 4 + 16)
    assert.strictEqual(
      new NoiseFrames(primitives, { key: derived, nonce: start }).openHead(last.slice(0, 18)),
      "tampered"
    )
  })

  it.each(vectors.claims.vectors.map((vector) => [vector.id, vector] as const))(
    "answers an initiator that claims the key of vector %s",
    (_, { auth, claim, expect }) => {
      const decision = Profile.responderVerify(challenge(plain).next, auth)
      if (expect === "refuse") return assert.strictEqual(Result.getOrThrow(Result.flip(decision))._tag, "misbehaved")
      assert.strictEqual(hex(Result.getOrThrow(decision).initiator), hex(claim))
    }
  )

  it.each(vectors.accepts.vectors.map((vector) => [vector.id, vector] as const))(
    "refuses the accept frame of vector %s",
    (_, { fails_at, frame }) => {
      const { next } = auth(plain)
      const head = Profile.initiatorAcceptHead(next, frame.slice(0, 18))
      assert.strictEqual(Result.isFailure(head), fails_at === "head")
      const whole = Result.flatMap(head, () => Profile.initiatorAcceptBody(next, frame.slice(18)))
      assert.strictEqual(Result.getOrThrow(Result.flip(whole))._tag, "misbehaved")
      assert.isTrue([...next.session.encrypt.key, ...next.session.decrypt.key].every((byte) => byte === 0))
    }
  )

  /** Points whose secret with anybody is zero, with the high bit set too, and numbers that are no canonical ones. */
  const degenerate = [
    "00".repeat(32),
    `${"00".repeat(31)}80`,
    `01${"00".repeat(31)}`,
    `01${"00".repeat(30)}80`,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    `ec${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(30)}7f`,
    `ed${"ff".repeat(31)}`,
    `ee${"ff".repeat(30)}7f`
  ]
  it.each(degenerate)("refuses the ephemeral key %s, of small order, in either role", (point) => {
    const message = concat([Buffer.from(point, "hex"), new Uint8Array(16)])
    const answered = Profile.responderChallenge(responder(plain), message)
    assert.strictEqual(Result.getOrThrow(Result.flip(answered))._tag, "misbehaved")
    const authenticated = Profile.initiatorAuth(hello(plain).next, message)
    assert.strictEqual(Result.getOrThrow(Result.flip(authenticated))._tag, "misbehaved")
  })

  it.each([...degenerate, "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", `02${"00".repeat(31)}`])(
    "does not dial the key %s, which nobody can hold",
    (point) => {
      const dialed = begun(initiator(plain), new Uint8Array(Buffer.from(point, "hex")))
      assert.strictEqual(Result.getOrThrow(Result.flip(dialed))._tag, "misbehaved")
    }
  )

  it("makes no ephemeral key for a stranger", () => {
    let made = 0
    const counting: Profile.Local = {
      ...responder(plain),
      ephemeral: () => {
        made++
        return primitives.x25519KeyPair()
      }
    }
    assert.isTrue(Result.isFailure(Profile.responderChallenge(counting, new Uint8Array(own.hello).fill(9))))
    assert.strictEqual(made, 0)
    assert.isTrue(Result.isSuccess(Profile.responderChallenge(counting, plain.hello)))
    assert.strictEqual(made, 1)
  })

  it("wipes the ephemeral secrets when the session stands, or the handshake has failed", () => {
    const ephemerals: Array<Uint8Array> = []
    const watched = (own: Profile.Local): Profile.Local => ({
      ...own,
      ephemeral: () => {
        const pair = own.ephemeral()
        ephemerals.push(pair.secretKey)
        return pair
      }
    })
    const near = Result.getOrThrow(begun(watched(initiator(plain)), plain.responder.public_key))
    Result.getOrThrow(Profile.initiatorAuth(near.next, plain.challenge))
    const far = Result.getOrThrow(Profile.responderChallenge(watched(responder(plain)), plain.hello))
    Result.getOrThrow(Profile.responderVerify(far.next, plain.auth))
    const failing = Result.getOrThrow(Profile.responderChallenge(watched(responder(plain)), plain.hello))
    Profile.responderVerify(failing.next, new Uint8Array(128))
    assert.strictEqual(ephemerals.length, 3)
    for (const secret of ephemerals) assert.isTrue(secret.every((byte) => byte === 0))
  })
})
