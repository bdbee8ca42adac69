import { assert, describe, it } from "@effect/vitest"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import { PublicKey } from "../../src/Identity.ts"
import * as Profile from "../../src/noise/NoiseProfile.ts"
import { primitives } from "../support/primitives.ts"
import { concat, hex } from "../support/vectors.ts"
import { type Handshake, plain, profile } from "./vectors.ts"

const local = (
  appKey: Uint8Array,
  keys: Handshake["initiator"],
  { public: publicKey, secret }: Handshake["initiator_ephemeral"]
): Profile.Local =>
  Profile.local(
    primitives,
    appKey,
    {
      publicKey: PublicKey.make(keys.public_key),
      secretKey: Redacted.make(concat([keys.seed, keys.public_key]))
    },
    () => ({ publicKey: publicKey.slice(), secretKey: secret.slice() })
  )

const initiator = (v: Handshake) => local(v.app_key, v.initiator, v.initiator_ephemeral)
const responder = (v: Handshake) => local(v.app_key, v.responder, v.responder_ephemeral)
const hello = (v: Handshake) =>
  Result.getOrThrow(Profile.initiatorHello(initiator(v), PublicKey.make(v.responder.public_key)))
const auth = (v: Handshake) =>
  Result.getOrThrow(Profile.initiatorAuth(hello(v).next, v.challenge, v.token ?? undefined))
const challenge = (v: Handshake) => Result.getOrThrow(Profile.responderChallenge(responder(v), v.hello))

const finish = (state: Profile.AwaitAccept, frame: Uint8Array) =>
  Result.flatMap(Profile.initiatorAcceptHead(state, frame.slice(0, 18)), (next) =>
    Profile.initiatorAcceptBody(next, frame.slice(18))
  )

const second = "000000000200000000000000"
const zero = "000000000000000000000000"

describe("the noise profile", () => {
  it.each(profile.handshakes.map((vector) => [vector.id, vector] as const))(
    "follows vector %s to the byte, both roles",
    (_, v) => {
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
    }
  )

  it.each(profile.claims.vectors.map((vector) => [vector.id, vector] as const))(
    "answers an initiator that claims the key of vector %s",
    (_, { auth, claim, expect }) => {
      const decision = Profile.responderVerify(challenge(plain).next, auth)
      if (expect === "refuse") return assert.strictEqual(Result.getOrThrow(Result.flip(decision))._tag, "misbehaved")
      assert.strictEqual(hex(Result.getOrThrow(decision).initiator), hex(claim))
    }
  )

  it.each(profile.accepts.vectors.map((vector) => [vector.id, vector] as const))(
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
      const dialed = Profile.initiatorHello(initiator(plain), PublicKey.make(new Uint8Array(Buffer.from(point, "hex"))))
      assert.strictEqual(Result.getOrThrow(Result.flip(dialed))._tag, "misbehaved")
    }
  )

  it("makes no ephemeral key for a stranger", () => {
    let made = 0
    const own: Profile.Local = {
      ...responder(plain),
      ephemeral: () => {
        made++
        return primitives.x25519KeyPair()
      }
    }
    assert.isTrue(Result.isFailure(Profile.responderChallenge(own, new Uint8Array(48).fill(9))))
    assert.strictEqual(made, 0)
    assert.isTrue(Result.isSuccess(Profile.responderChallenge(own, plain.hello)))
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
    const near = Result.getOrThrow(
      Profile.initiatorHello(watched(initiator(plain)), PublicKey.make(plain.responder.public_key))
    )
    Result.getOrThrow(Profile.initiatorAuth(near.next, plain.challenge))
    const far = Result.getOrThrow(Profile.responderChallenge(watched(responder(plain)), plain.hello))
    Result.getOrThrow(Profile.responderVerify(far.next, plain.auth))
    const failing = Result.getOrThrow(Profile.responderChallenge(watched(responder(plain)), plain.hello))
    Profile.responderVerify(failing.next, new Uint8Array(128))
    assert.strictEqual(ephemerals.length, 3)
    for (const secret of ephemerals) assert.isTrue(secret.every((byte) => byte === 0))
  })
})
