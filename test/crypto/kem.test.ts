/**
 * Both layers of the Kem: published vectors, what they accept and refuse, and that they agree with each other and with
 * ML-KEM-768 by the letter of FIPS 203 (`noisepq/mlkem.ts`).
 */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js"
import * as Schema from "effect/Schema"
import { ciphertextLength, publicKeyLength } from "../../src/crypto/Kem.ts"
import { decaps, encaps, keyGen } from "../noisepq/mlkem.ts"
import { kems } from "../support/primitives.ts"
import { pattern } from "../support/servers.ts"
import { hex } from "../support/vectors.ts"

const Bytes = Schema.Uint8ArrayFromHex
const Shared = { id: Schema.String, public_key: Bytes, ciphertext: Bytes, secret: Bytes }
const published = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      decapsulations: Schema.Array(Schema.Struct({ ...Shared, seed: Bytes })),
      encapsulations: Schema.Array(Schema.Struct({ ...Shared, coins: Bytes })),
      invalid_keys: Schema.Array(Schema.Struct({ id: Schema.String, public_key: Bytes }))
    })
  )
)(fs.readFileSync(new URL("../vectors/ml-kem-768.json", import.meta.url), "utf8"))

const byId = <A extends { readonly id: string }>(all: ReadonlyArray<A>) => all.map((each) => [each.id, each] as const)

describe("ML-KEM-768 with known random bytes", () => {
  it.each(byId(published.encapsulations))(
    "gives vector %s by the letter of FIPS 203, and in JavaScript",
    (_, { ciphertext, coins, public_key, secret }) => {
      const made = encaps(public_key, coins)
      assert.deepStrictEqual([made.ciphertext, made.secret].map(hex), [ciphertext, secret].map(hex))
      const { cipherText, sharedSecret } = ml_kem768.encapsulate(public_key, coins)
      assert.deepStrictEqual([cipherText, sharedSecret].map(hex), [ciphertext, secret].map(hex))
    }
  )

  it.each(byId(published.decapsulations))(
    "gives vector %s by the letter of FIPS 203",
    (_, { ciphertext, public_key, secret, seed }) => {
      const { dk, ek } = keyGen(seed)
      assert.strictEqual(hex(ek), hex(public_key))
      assert.strictEqual(hex(decaps(dk, ciphertext)), hex(secret))
    }
  )
})

describe.each(kems)("ML-KEM-768 on $library", ({ kem }) => {
  it.each(byId(published.decapsulations))("gives vector %s", (_, vector) => {
    const { publicKey, secretKey } = kem.keyPair(vector.seed)
    assert.strictEqual(hex(publicKey), hex(vector.public_key))
    assert.strictEqual(hex(kem.decapsulate(secretKey, vector.ciphertext) ?? pattern(1)), hex(vector.secret))
  })

  it.each(byId(published.invalid_keys))("makes no secret for the invalid %s", (_, { public_key }) => {
    assert.isUndefined(kem.encapsulate(public_key))
  })

  it("agrees with each of the others on a fresh key", () => {
    for (const other of kems) {
      const { publicKey, secretKey } = kem.keyPair()
      assert.strictEqual(publicKey.length, publicKeyLength)
      const made = other.kem.encapsulate(publicKey) ?? assert.fail("a good key")
      assert.deepStrictEqual([made.ciphertext.length, made.secret.length], [ciphertextLength, 32])
      assert.strictEqual(hex(kem.decapsulate(secretKey, made.ciphertext) ?? pattern(1)), hex(made.secret))
    }
    const seed = pattern(64, 9)
    const { publicKey, secretKey } = kem.keyPair(seed)
    const { dk, ek } = keyGen(seed)
    assert.strictEqual(hex(publicKey), hex(ek))
    const { ciphertext, secret } = encaps(ek, pattern(32, 10))
    assert.strictEqual(hex(kem.decapsulate(secretKey, ciphertext) ?? pattern(1)), hex(secret))
    const made = kem.encapsulate(publicKey) ?? assert.fail("a good key")
    assert.strictEqual(hex(decaps(dk, made.ciphertext)), hex(made.secret))
  })

  it("gives the secret of FIPS 203 for a ciphertext that nobody made", () => {
    const seed = pattern(64, 11)
    const { dk } = keyGen(seed)
    const { secretKey } = kem.keyPair(seed)
    for (const ciphertext of [pattern(1088, 3), new Uint8Array(1088), new Uint8Array(1088).fill(255)]) {
      assert.strictEqual(hex(kem.decapsulate(secretKey, ciphertext) ?? pattern(1)), hex(decaps(dk, ciphertext)))
    }
  })

  it("makes another pair and another secret each time", () => {
    const [one, other] = [kem.keyPair(), kem.keyPair()]
    assert.notStrictEqual(hex(one.publicKey), hex(other.publicKey))
    const made = [1, 2].map(() => kem.encapsulate(one.publicKey) ?? assert.fail("a good key"))
    assert.strictEqual(new Set(made.flatMap(({ ciphertext, secret }) => [hex(ciphertext), hex(secret)])).size, 4)
  })

  it("refuses keys with a number that is not below 3329, at each of some places", () => {
    const { publicKey } = kem.keyPair(pattern(64))
    for (let i = 0; i < 768; i += 85) {
      for (const number of [3329, 3330, 4095]) {
        const bad = publicKey.slice()
        const at = 3 * (i >> 1)
        if (i % 2 === 0) {
          bad[at] = number & 0xff
          bad[at + 1] = ((bad[at + 1] as number) & 0xf0) | (number >> 8)
        } else {
          bad[at + 1] = ((bad[at + 1] as number) & 0x0f) | ((number & 0x0f) << 4)
          bad[at + 2] = number >> 4
        }
        assert.isUndefined(kem.encapsulate(bad), `number ${i} is ${number}`)
      }
    }
    assert.isDefined(kem.encapsulate(publicKey))
  })

  it("answers wrong lengths with a value", () => {
    const { publicKey, secretKey } = kem.keyPair()
    for (const length of [0, 1, 1183]) assert.isUndefined(kem.encapsulate(publicKey.slice(0, length)))
    assert.isUndefined(kem.encapsulate(new Uint8Array(1185)))
    for (const length of [0, 1, 1087, 1089]) assert.isUndefined(kem.decapsulate(secretKey, new Uint8Array(length)))
  })

  it("reads keys and ciphertexts that lie within larger memory", () => {
    const { publicKey, secretKey } = kem.keyPair()
    const within = (bytes: Uint8Array) => {
      const out = new Uint8Array(bytes.length + 20)
      out.set(bytes, 10)
      return out.subarray(10, 10 + bytes.length)
    }
    const { ciphertext, secret } = kem.encapsulate(within(publicKey)) ?? assert.fail("a good key")
    assert.strictEqual(hex(kem.decapsulate(within(secretKey), within(ciphertext)) ?? pattern(1)), hex(secret))
  })
})
