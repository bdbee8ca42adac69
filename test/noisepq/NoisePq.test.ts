/** What noisepq has besides noise: its KEM, in both layers, and what an insider may do with it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import type * as Address from "../../src/Address.ts"
import type { Kem } from "../../src/crypto/Kem.ts"
import * as NodeKem from "../../src/crypto/NodeKem.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import { Secrets } from "../../src/handshake/secrets.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noise from "../../src/noise/Noise.ts"
import * as NoisePq from "../../src/noisepq/NoisePq.ts"
import { profile } from "../../src/noisepq/XKhfs.ts"
import * as Profile from "../../src/xk/NoiseProfile.ts"
import { kems, primitives } from "../support/primitives.ts"
import { echo, pattern, readAll, sameBytes, served } from "../support/servers.ts"
import { base64, hex } from "../support/vectors.ts"

const identityOf = (n: number) => Identity.fromSeed(primitives, Redacted.make(pattern(32, n)))
const [near, far] = [identityOf(1), identityOf(2)]
const appKey = pattern(32, 7)

/** One side of the pure steps, with this KEM. */
const side = (kem: Kem["Service"], identity: Identity.KeyPair) =>
  Profile.local(profile(kem), primitives, appKey, identity)

const begun = (initiator: Profile.Local, responder: Identity.PublicKey) =>
  Profile.initiatorHello(initiator, responder, new Secrets(primitives))

/** A handshake up to the sessions of both sides. */
const shake = (initiator: Profile.Local, responder: Profile.Local) => {
  const hello = Result.getOrThrow(begun(initiator, responder.identity.publicKey))
  const challenge = Result.getOrThrow(Profile.responderChallenge(responder, hello.message))
  const auth = Result.getOrThrow(Profile.initiatorAuth(hello.next, challenge.message))
  const accept = Profile.responderAccept(Result.getOrThrow(Profile.responderVerify(challenge.next, auth.message)))
  const head = Result.getOrThrow(Profile.initiatorAcceptHead(auth.next, accept.message.slice(0, 18)))
  const session = Result.getOrThrow(Profile.initiatorAcceptBody(head, accept.message.slice(18)))
  return { hello: hello.message, challenge: challenge.message, initiator: session, responder: accept.session }
}

/** Why a step failed. */
const why = <A>(result: Result.Result<A, { readonly _tag: string; readonly detail?: string }>): string => {
  const failure = Result.getOrThrow(Result.flip(result))
  return failure.detail ?? failure._tag
}

const pairs = kems.flatMap((dialer) =>
  kems.map((listener) => ({ dialer, listener, of: `${dialer.library} and ${listener.library}` }))
)

describe.each(pairs)("between $of,", ({ dialer, listener }) => {
  it("both sides come to the same keys, by messages of 1,248 and 1,152 bytes", () => {
    const { challenge, hello, initiator, responder } = shake(side(dialer.kem, near), side(listener.kem, far))
    assert.deepStrictEqual([hello.length, challenge.length], [1248, 1152])
    assert.strictEqual(hex(initiator.encrypt.key), hex(responder.decrypt.key))
    assert.strictEqual(hex(initiator.decrypt.key), hex(responder.encrypt.key))
    assert.strictEqual(hex(initiator.hash), hex(responder.hash))
  })

  it.live("a connection carries what is written, with both keys proved, and shows the token", () =>
    Effect.gen(function* () {
      const asked: Array<NoisePq.Applicant> = []
      const speaking = (kem: Layer.Layer<Kem>, identity: Identity.KeyPair, options: NoisePq.Options = {}) =>
        Layer.build(
          Multiserver.layer(["net~noisepq"]).pipe(
            Layer.provide([Net.layer(), NoisePq.layer(options)]),
            Layer.provide([Layer.succeed(Identity.Identity, identity), Sodium.layer, kem])
          )
        )
      const theirs = yield* speaking(listener.layer, far, {
        authorize: (applicant) => Effect.sync(() => asked.push(applicant) > 0)
      })
      const ours = yield* speaking(dialer.layer, near)
      const [address] = yield* served("net:127.0.0.1:0~noisepq", echo).pipe(Effect.provide(theirs))
      const token = pattern(32, 77)
      const bytes = pattern(100_000)
      const { back, binding, peer } = yield* Effect.gen(function* () {
        const connection = yield* Multiserver.dial(`${address}:${base64(token)}`)
        yield* Effect.forkChild(Effect.andThen(connection.write(bytes), connection.end))
        return { back: yield* readAll(connection), binding: connection.binding, peer: connection.peer }
      }).pipe(Effect.scoped, Effect.provide(ours))
      assert.isTrue(sameBytes(back, bytes))
      assert.strictEqual(binding?.length, 64)
      assert.deepInclude(peer, { _tag: "Authenticated", publicKey: far.publicKey })
      const [applicant] = asked
      assert.isTrue(applicant !== undefined && sameBytes(applicant.publicKey, near.publicKey))
      assert.isTrue(sameBytes(Redacted.value(Option.getOrThrow((applicant as NoisePq.Applicant).token)), token))
    })
  )
})

describe.each(kems)("on $library,", ({ kem, library }) => {
  const [initiator, responder] = [side(kem, near), side(kem, far)]
  const hello = () => Result.getOrThrow(begun(initiator, far.publicKey))

  /** A step takes JavaScript several times as long: it gets every eleventh of the changes. */
  const step = library === "noble" ? 11 : 1

  it("no message with any byte changed opens, nor one that is cut", () => {
    const first = hello()
    for (let at = 0; at < 1248; at += step) {
      const changed = first.message.slice()
      changed[at] = (changed[at] as number) ^ (1 << (at & 7))
      assert.strictEqual(why(Profile.responderChallenge(responder, changed)), "network", `hello, byte ${at}`)
    }
    // The same hello each time, whose keys are made once: what is made for it answers each of them.
    const [ephemeral, kemPair] = [primitives.x25519KeyPair(), kem.keyPair()]
    const copy = (pair: typeof ephemeral) => ({ ...pair, secretKey: pair.secretKey.slice() })
    const again = { ...side({ ...kem, keyPair: () => copy(kemPair) }, near), ephemeral: () => copy(ephemeral) }
    const same = () => Result.getOrThrow(begun(again, far.publicKey))
    const answer = Result.getOrThrow(Profile.responderChallenge(responder, same().message)).message
    assert.isTrue(Result.isSuccess(Profile.initiatorAuth(same().next, answer)))
    for (let at = 0; at < 1152; at += step) {
      const { next } = same()
      const changed = answer.slice()
      changed[at] = (changed[at] as number) ^ (1 << (at & 7))
      assert.strictEqual(why(Profile.initiatorAuth(next, changed)), "network", `challenge, byte ${at}`)
    }
    for (let length = 0; length < 1248; length += 97) {
      assert.strictEqual(why(Profile.responderChallenge(responder, first.message.slice(0, length))), "network")
    }
    const { message, next } = hello()
    const challenge = Result.getOrThrow(Profile.responderChallenge(responder, message)).message
    assert.strictEqual(why(Profile.initiatorAuth(next, challenge.slice(0, 1151))), "network")
  })

  /** An initiator that shows another KEM key than its own. */
  const showing = (change: (publicKey: Uint8Array) => Uint8Array) => {
    const insider = side(
      {
        ...kem,
        keyPair: () => {
          const pair = kem.keyPair()
          return { ...pair, publicKey: change(pair.publicKey.slice()) }
        }
      },
      near
    )
    const { message } = Result.getOrThrow(begun(insider, far.publicKey))
    return Profile.responderChallenge(responder, message)
  }

  it("refuses an insider's KEM key that FIPS 203 forbids, with a number of 3329 or more, and makes no secret of it", () => {
    for (const at of [0, 3 * 100, 1149]) {
      const answer = showing((publicKey) => {
        // Two numbers of 12 bits are three bytes: the first becomes 3329.
        publicKey[at] = 0x01
        publicKey[at + 1] = ((publicKey[at + 1] as number) & 0xf0) | 0x0d
        return publicKey
      })
      assert.strictEqual(why(answer), "its KEM key is not valid")
    }
    assert.strictEqual(why(showing((publicKey) => publicKey.fill(0xff))), "its KEM key is not valid")
    // Zeros are numbers too: nobody is to tell a bad key from a good one by that.
    assert.isTrue(Result.isSuccess(showing((publicKey) => publicKey.fill(0))))
  })

  it("does not answer a KEM key of another length", () => {
    assert.strictEqual(why(showing((publicKey) => publicKey.subarray(1))), "network")
    assert.strictEqual(why(showing((publicKey) => new Uint8Array([...publicKey, 0]))), "network")
  })

  /** A responder that sends another ciphertext than that of its secret. */
  const answering = (change: (ciphertext: Uint8Array) => Uint8Array) => {
    const insider = side(
      {
        ...kem,
        encapsulate: (publicKey) => {
          const made = kem.encapsulate(publicKey)
          return made && { ...made, ciphertext: change(made.ciphertext.slice()) }
        }
      },
      far
    )
    const { message, next } = hello()
    return Profile.initiatorAuth(next, Result.getOrThrow(Profile.responderChallenge(insider, message)).message)
  }

  it("does not go on with a ciphertext for another key, or one that nobody made, or of another length", () => {
    const another = kem.keyPair()
    const forAnother = kem.encapsulate(another.publicKey)?.ciphertext as Uint8Array
    assert.strictEqual(why(answering(() => forAnother)), "network")
    assert.strictEqual(why(answering((ciphertext) => ciphertext.fill(0))), "network")
    assert.strictEqual(why(answering((ciphertext) => ciphertext.fill(0xff))), "network")
    assert.strictEqual(why(answering((ciphertext) => ciphertext.subarray(1))), "network")
  })

  it("derives its keys from both secrets: another of either gives other keys", () => {
    const [ephemeral, seed, coins] = [pattern(32, 3), pattern(64, 4), kem.keyPair(pattern(64, 4))]
    const pair = () => ({ secretKey: ephemeral.slice(), publicKey: primitives.x25519PublicKey(ephemeral) })
    const same = { ...kem, keyPair: () => kem.keyPair(seed) }
    const encapsulated = kem.encapsulate(coins.publicKey)
    const fixed = {
      ...same,
      encapsulate: () => encapsulated && { ...encapsulated, secret: encapsulated.secret.slice() }
    }
    const keyOf = (kem: Kem["Service"], ephemeral?: typeof pair) => {
      const [dialing, listening] = [side(kem, near), side(kem, far)]
      const chosen = ephemeral === undefined ? {} : { ephemeral }
      return hex(shake({ ...dialing, ...chosen }, { ...listening, ...chosen }).initiator.encrypt.key)
    }
    assert.strictEqual(keyOf(fixed, pair), keyOf(fixed, pair))
    assert.notStrictEqual(keyOf(fixed, pair), keyOf(same, pair))
    assert.notStrictEqual(keyOf(fixed, pair), keyOf(fixed))
  })
})

describe("noisepq and noise", () => {
  const layer = Multiserver.layer(["memory~noise", "memory~noisepq", "memory~noisepq~noise"]).pipe(
    Layer.provide([Memory.layer(), Noise.layer(), NoisePq.layer()]),
    Layer.provide([Layer.succeed(Identity.Identity, near), Sodium.layer, NodeKem.layer])
  )
  const refusal = (dialed: string) =>
    Effect.map(Effect.flip(Effect.scoped(Multiserver.dial(dialed))), (error) => {
      if (error._tag !== "DialError" || error.reason._tag !== "HandshakeError") return error._tag
      return error.reason.reason._tag
    })

  it.effect("do not talk with each other", () =>
    Effect.gen(function* () {
      const [pq] = yield* served("memory:pq~noisepq", readAll)
      // The hello of noise is shorter: its dialer gives up, and closes.
      const led = (address: Address.Address | undefined, from: string, to: string) => String(address).replace(from, to)
      const [plain] = yield* served("memory:plain~noise", readAll)
      assert.strictEqual(yield* refusal(led(plain, "~noise:", "~noisepq:")), "Rejected")
      assert.strictEqual(String(pq).startsWith("memory:pq~noisepq:"), true)
    }).pipe(Effect.provide(layer), Effect.scoped)
  )

  it.effect("is not dialed without a key, before any I/O", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Effect.scoped(Multiserver.dial("memory:nobody~noisepq")))
      assert.strictEqual(error._tag === "DialError" && error.reason._tag, "NotDialable")
      assert.include(error.message, "noisepq needs the key of the peer: noisepq:KEY")
    }).pipe(Effect.provide(layer))
  )
})
