/**
 * The primitives in JavaScript do what libsodium does: on random inputs, and on those of an attacker, who sends points
 * of small order, numbers that are not canonical, signatures with a part that the cofactor would cancel, and forgeries.
 */

import { assert, describe, it } from "@effect/vitest"
import { ED25519_TORSION_SUBGROUP, ed25519 } from "@noble/curves/ed25519.js"
import { bytesToNumberLE, numberToBytesLE } from "@noble/curves/utils.js"
import { sha512 } from "@noble/hashes/sha2.js"
import fc from "fast-check"
import type { NoisePrimitives } from "../../src/crypto/Primitives.ts"
import { libraries, primitives as native, portable } from "../support/primitives.ts"
import { concat, hex } from "../support/vectors.ts"

type Service = NoisePrimitives["Service"]

const sized = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
const key = sized(32)
const message = fc.uint8Array({ maxLength: 300 })

/** What a call gives or changes, as text; `throws` for a call that does. */
const outcome = (call: () => unknown): string => {
  try {
    const value = call()
    return value instanceof Uint8Array ? hex(value) : (JSON.stringify(value) ?? "undefined")
  } catch {
    return "throws"
  }
}

/** Answers what both do. */
const agree = (call: (by: Service) => unknown): string => {
  const [ours, theirs] = [outcome(() => call(portable)), outcome(() => call(native))]
  assert.strictEqual(ours, theirs)
  return ours
}

const property = <Ts extends [unknown, ...Array<unknown>]>(
  ...args: [...{ [K in keyof Ts]: fc.Arbitrary<Ts[K]> }, check: (...values: Ts) => void]
) => fc.assert(fc.property(...args), { numRuns: 60 })

const { Point } = ed25519
const order = Point.Fn.ORDER

/** The eight points whose order divides the cofactor. */
const torsion = ED25519_TORSION_SUBGROUP.map((text) => Point.fromHex(text, true))

/** Every encoding of a number from the field's order up to 2^255, with both signs. */
const notCanonical = Array.from({ length: 19 }, (_, i) => numberToBytesLE(2n ** 255n - 19n + BigInt(i), 32)).flatMap(
  (bytes) => [bytes, concat([bytes.subarray(0, 31), Uint8Array.of((bytes[31] as number) | 0x80)])]
)

/** The points that X25519 sends to zero, as they may be written. */
const smallOrderU = [
  ...[0n, 1n, 2n ** 255n - 20n, 2n ** 255n - 19n, 2n ** 255n - 18n],
  325606250916557431795983626356110631294008115727848805560023387167927233504n,
  39382357235489614581723060781553021112529911719440698176882885853963445705823n
].flatMap((u) => [numberToBytesLE(u, 32), numberToBytesLE(u + 2n ** 255n, 32)])

const challengeOf = (...parts: ReadonlyArray<Uint8Array>): bigint =>
  Point.Fn.create(bytesToNumberLE(sha512(concat(parts))))

describe("the primitives in JavaScript and libsodium", () => {
  it("agree on keys, secrets and signatures", () => {
    property(key, key, message, (one, two, text) => {
      const pair = native.ed25519KeyPair(one)
      agree((by) => by.ed25519KeyPair(one).publicKey)
      agree((by) => by.ed25519KeyPair(one).secretKey)
      agree((by) => by.x25519PublicKey(one))
      agree((by) => by.x25519(one, native.x25519PublicKey(two)))
      agree((by) => by.x25519(one, two))
      agree((by) => by.x25519FromSecretKey(pair.secretKey))
      agree((by) => by.x25519FromPublicKey(pair.publicKey))
      // Half of all bytes are no point, and most points are outside the main subgroup.
      agree((by) => by.x25519FromPublicKey(two))
      agree((by) => by.sign(text, pair.secretKey))
      assert.strictEqual(
        agree((by) => by.verify(native.sign(text, pair.secretKey), text, pair.publicKey)),
        "true"
      )
    })
  })

  it("make keys that are of use to each other", () => {
    for (const { primitives } of libraries) {
      const pair = primitives.x25519KeyPair()
      assert.strictEqual(hex(native.x25519PublicKey(pair.secretKey)), hex(pair.publicKey))
      assert.notStrictEqual(hex(pair.secretKey), hex(primitives.x25519KeyPair().secretKey))
      for (const length of [0, 1, 65_536, 200_000]) assert.lengthOf(primitives.random(length), length)
      assert.isAbove(new Set(primitives.random(200_000).subarray(199_000)).size, 200)
    }
  })

  it("agree on hashes", () => {
    property(key, fc.uint8Array({ maxLength: 400 }), fc.integer({ min: 16, max: 64 }), (secret, text, length) => {
      agree((by) => by.sha256(text))
      agree((by) => by.hmac(secret, text))
      for (const keyed of [undefined, secret, concat([secret, secret]), secret.subarray(16)]) {
        agree((by) => {
          const out = new Uint8Array(length)
          by.blake2b(out, text, keyed)
          return out
        })
      }
    })
  })

  it("agree on boxes, sealed and opened in place or not, and refuse them changed", () => {
    property(key, sized(24), fc.uint8Array({ maxLength: 5000 }), fc.nat(), (secret, nonce, text, place) => {
      const seal = (by: Service) => {
        const box = new Uint8Array(text.length + 16)
        by.boxSeal(box, text, nonce, secret)
        return box
      }
      agree(seal)
      const detached = (by: Service) => {
        const room = concat([Uint8Array.of(1), text])
        const body = room.subarray(1)
        const mac = new Uint8Array(16)
        by.boxSealDetached(body, mac, body, nonce, secret)
        return concat([mac, body])
      }
      assert.strictEqual(agree(detached), hex(seal(native)))
      const open = (box: Uint8Array) => (by: Service) => {
        const out = new Uint8Array(box.length - 16)
        return by.boxOpen(out, box, nonce, secret) ? hex(out) : "refused"
      }
      const inPlace = (box: Uint8Array) => (by: Service) => {
        const cipher = box.slice(16)
        return by.boxOpenDetached(cipher, cipher, box.slice(0, 16), nonce, secret) ? hex(cipher) : "refused"
      }
      const box = seal(native)
      for (const way of [open, inPlace]) assert.strictEqual(agree(way(box)), JSON.stringify(hex(text)))
      const at = place % box.length
      box[at] = (box[at] as number) ^ (1 << (place & 7))
      for (const way of [open, inPlace]) assert.strictEqual(agree(way(box)), '"refused"')
    })
  })

  it("agree on ChaCha20-Poly1305, in place or not, and refuse it changed", () => {
    const lengths = fc.oneof(fc.constant(65_519), fc.nat({ max: 5000 }))
    property(key, sized(12), lengths, message, fc.nat(), (secret, nonce, length, associated, place) => {
      const text = new Uint8Array(length).fill(place)
      const seal = (by: Service) => {
        const room = new Uint8Array(length + 17).subarray(1)
        room.set(text)
        by.aeadSeal(room, room.subarray(0, length), associated, nonce, secret)
        return room
      }
      agree(seal)
      const open = (sealed: Uint8Array, inPlace: boolean) => (by: Service) => {
        const copy = sealed.slice()
        const out = inPlace ? copy.subarray(0, length) : new Uint8Array(length)
        return by.aeadOpen(out, copy, associated, nonce, secret) ? hex(out) : "refused"
      }
      const sealed = seal(native)
      for (const inPlace of [true, false]) assert.strictEqual(agree(open(sealed, inPlace)), JSON.stringify(hex(text)))
      sealed[place % sealed.length] = (sealed[place % sealed.length] as number) ^ (1 << (place & 7))
      for (const inPlace of [true, false]) assert.strictEqual(agree(open(sealed, inPlace)), '"refused"')
    })
  })

  it("agree on what is equal", () => {
    property(message, message, (one, two) => {
      for (const other of [one, one.slice(), two, concat([one, Uint8Array.of(0)])]) agree((by) => by.equal(one, other))
      for (let at = 0; at < one.length; at += 7) {
        const changed = one.slice()
        changed[at] = (changed[at] as number) ^ 0x80
        assert.strictEqual(
          agree((by) => by.equal(one, changed)),
          "false"
        )
      }
    })
  })

  it("wipe", () => {
    for (const { primitives } of libraries) {
      const room = new Uint8Array(64).fill(7)
      primitives.wipe(room.subarray(16, 48))
      assert.deepStrictEqual([...new Set(room.subarray(16, 48))], [0])
      assert.deepStrictEqual([...new Set([...room.subarray(0, 16), ...room.subarray(48)])], [7])
    }
  })
})

describe("of an attacker, they both", () => {
  it("take no point of small order for a shared secret", () => {
    assert.lengthOf(smallOrderU, 14)
    for (const point of smallOrderU) {
      assert.strictEqual(
        agree((by) => by.x25519(native.random(32), point)),
        "undefined"
      )
    }
  })

  it("take a number above the field's for the same one below it, in X25519", () => {
    const secret = new Uint8Array(32).fill(3)
    for (const point of notCanonical) agree((by) => by.x25519(secret, point))
  })

  it("convert no key that is not canonical, has small order, or is outside the main subgroup", () => {
    for (const bytes of notCanonical)
      assert.strictEqual(
        agree((by) => by.x25519FromPublicKey(bytes)),
        "undefined"
      )
    const own = Point.fromBytes(native.ed25519KeyPair(native.random(32)).publicKey)
    for (const [i, part] of torsion.entries()) {
      assert.strictEqual(
        agree((by) => by.x25519FromPublicKey(part.toBytes())),
        "undefined"
      )
      assert.strictEqual(agree((by) => by.x25519FromPublicKey(own.add(part).toBytes())) === "undefined", i > 0)
    }
  })

  it("verify no signature with a bit changed, in it, in the message or in the key", () => {
    property(key, message, fc.nat(), (seed, text, place) => {
      const { publicKey, secretKey } = native.ed25519KeyPair(seed)
      const parts = [native.sign(text, secretKey), text, publicKey] as const
      for (const [which, part] of parts.entries()) {
        if (part.length === 0) continue
        const changed = part.slice()
        changed[place % part.length] = (changed[place % part.length] as number) ^ (1 << (place & 7))
        const [signature, said, by] = parts.map((each, i) => (i === which ? changed : each)) as [
          Uint8Array,
          Uint8Array,
          Uint8Array
        ]
        assert.strictEqual(
          agree(({ verify }) => verify(signature, said, by)),
          "false"
        )
      }
    })
  })

  it("verify no S that is not below the group's order, though it is the same number", () => {
    const { publicKey, secretKey } = native.ed25519KeyPair(native.random(32))
    const text = native.random(10)
    const signature = native.sign(text, secretKey)
    const number = bytesToNumberLE(signature.subarray(32))
    for (let times = 0n; number + times * order < 2n ** 256n; times++) {
      const other = concat([signature.subarray(0, 32), numberToBytesLE(number + times * order, 32)])
      assert.strictEqual(
        agree((by) => by.verify(other, text, publicKey)),
        String(times === 0n)
      )
    }
  })

  it("verify without the cofactor: the parts of small order in the key and in R decide as they do in libsodium", () => {
    let accepted = 0
    for (let round = 0; round < 3; round++) {
      const { point, scalar } = ed25519.utils.getExtendedPublicKey(native.random(32))
      const random = Point.Fn.create(bytesToNumberLE(native.random(32)))
      for (const ofKey of torsion) {
        for (const ofR of torsion) {
          for (const [a, r] of [
            [scalar, random],
            [0n, random],
            [scalar, 0n],
            [0n, 0n]
          ] as const) {
            const publicKey = (a === 0n ? Point.ZERO : point).add(ofKey).toBytes()
            const commitment = (r === 0n ? Point.ZERO : Point.BASE.multiply(r)).add(ofR).toBytes()
            const text = native.random(4)
            const s = Point.Fn.create(r + challengeOf(commitment, publicKey, text) * a)
            const signature = concat([commitment, numberToBytesLE(s, 32)])
            const verdict = agree((by) => by.verify(signature, text, publicKey))
            if (verdict === "true") accepted++
            // The library's own check, which we don't use, takes each of them.
            assert.isTrue(ed25519.verify(signature, text, publicKey))
            if (a === 0n || r === 0n) assert.strictEqual(verdict, "false")
          }
        }
      }
    }
    assert.isAtLeast(accepted, 3)
    assert.isBelow(accepted, 3 * 64)
  })

  it("verify nothing by a key, or with an R, that is not canonical", () => {
    const { secretKey, publicKey } = native.ed25519KeyPair(native.random(32))
    const text = native.random(4)
    const signature = native.sign(text, secretKey)
    for (const bytes of notCanonical) {
      assert.strictEqual(
        agree((by) => by.verify(signature, text, bytes)),
        "false"
      )
      assert.strictEqual(
        agree((by) => by.verify(concat([bytes, signature.subarray(32)]), text, publicKey)),
        "false"
      )
      // What verifies with the cofactor by a key that is written so: S = 0, and R is a point of small order.
      for (const part of torsion) {
        const forged = concat([part.toBytes(), new Uint8Array(32)])
        assert.strictEqual(
          agree((by) => by.verify(forged, text, bytes)),
          "false"
        )
      }
    }
  })

  it("forge nothing with random bytes", () => {
    property(sized(64), message, key, (signature, text, publicKey) => {
      assert.strictEqual(
        agree((by) => by.verify(signature, text, publicKey)),
        "false"
      )
    })
  })

  it("refuse or throw for what has a wrong length", () => {
    /** The lengths of arguments that go together. */
    const calls: ReadonlyArray<readonly [keyof Service, ReadonlyArray<number>]> = [
      ["x25519", [32, 32]],
      ["x25519PublicKey", [32]],
      ["ed25519KeyPair", [32]],
      ["x25519FromPublicKey", [32]],
      ["x25519FromSecretKey", [64]],
      ["boxSeal", [19, 3, 24, 32]],
      ["boxOpen", [3, 19, 24, 32]],
      ["boxSealDetached", [3, 16, 3, 24, 32]],
      ["boxOpenDetached", [3, 3, 16, 24, 32]]
    ]
    /** Those with a text of any length among their arguments. */
    const withText: ReadonlyArray<readonly [keyof Service, ReadonlyArray<number>, text: number]> = [
      ["sign", [3, 64], 0],
      ["verify", [64, 3, 32], 1],
      ["hmac", [32, 3], 1],
      ["aeadSeal", [19, 3, 0, 12, 32], 2],
      ["aeadOpen", [3, 19, 0, 12, 32], 2]
    ]
    const all = [...calls.map(([name, lengths]) => [name, lengths, -1] as const), ...withText]
    for (const [name, lengths, text] of all) {
      for (const which of lengths.keys()) {
        if (which === text) continue
        for (const wrong of [-1, 1]) {
          for (const { library, primitives } of libraries) {
            const call: unknown = Reflect.get(primitives, name)
            if (typeof call !== "function") assert.fail(name)
            const given = lengths.map((length, i) => new Uint8Array(i === which ? length + wrong : length).fill(9))
            const said = outcome(() => Reflect.apply(call, undefined, given))
            assert.include(["throws", "false", "undefined"], said, `${library}: ${name}, argument ${which}, ${wrong}`)
            // What was to be opened or sealed did not come out all the same.
            if (/^(boxSeal|aeadSeal)/.test(name)) assert.strictEqual(said, "throws", `${library}: ${name} ${which}`)
          }
        }
      }
    }
  })
})
