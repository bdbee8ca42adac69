/** Address records, as docs/records.md says. */
import * as fs from "node:fs"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as AddressRecord from "../../src/AddressRecord.ts"
import { AddressRecords } from "../../src/AddressRecords.ts"
import * as AppKey from "../../src/AppKey.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import { libraries } from "../support/primitives.ts"

const Bytes = Schema.Uint8ArrayFromHex
const Vectors = Schema.Struct({
  seed: Bytes,
  public_key: Bytes,
  good: Schema.Array(
    Schema.Struct({
      id: Schema.String,
      app_key: Bytes,
      network: Bytes,
      sequence: Schema.Number,
      expires: Schema.Number,
      addresses: Schema.Array(Schema.String),
      bytes: Bytes
    })
  ),
  bad: Schema.Array(Schema.Struct({ id: Schema.String, reason: Schema.String, bytes: Bytes }))
})
const vectors = Schema.decodeUnknownSync(Schema.fromJsonString(Vectors))(
  fs.readFileSync(new URL("../vectors/records.json", import.meta.url), "utf8")
)
const appKey = (bytes: Uint8Array) => AppKey.layer(Option.getOrThrow(AppKey.fromBytes(bytes)))
const reasonOf = ({ reason }: AddressRecord.RecordError) => reason._tag

describe.each(libraries)("records over $library", ({ layer, primitives }) => {
  const identity = Identity.fromSeed(primitives, Redacted.make(vectors.seed))

  it.each(vectors.good)("reads $id", (vector) =>
    Effect.gen(function* () {
      const record = yield* AddressRecord.decode(vector.bytes)
      assert.deepStrictEqual(
        [record.sequence, record.expires, record.addresses],
        [vector.sequence, vector.expires, vector.addresses]
      )
      assert.deepStrictEqual(new Uint8Array(record.publicKey), vectors.public_key)
      assert.deepStrictEqual(record.bytes, vector.bytes)
    }).pipe(Effect.provide([appKey(vector.app_key), layer]), Effect.runPromise)
  )

  const writable = vectors.good.filter(({ id }) => id !== "unknown-protocol" && id !== "not-ascii")
  it.each(writable)("writes $id byte for byte", (vector) =>
    Effect.gen(function* () {
      const { addresses, expires, sequence } = vector
      const record = yield* AddressRecord.sign(identity, { addresses, sequence, expires })
      assert.deepStrictEqual(record.bytes, vector.bytes)
    }).pipe(Effect.provide([appKey(vector.app_key), layer]), Effect.runPromise)
  )

  it.each(vectors.bad)("refuses $id as $reason", ({ bytes, reason }) =>
    Effect.gen(function* () {
      assert.strictEqual(reasonOf(yield* Effect.flip(AddressRecord.decode(bytes))), reason)
    }).pipe(Effect.provide(layer), Effect.runPromise)
  )

  it.effect("refuses a record of another network", () =>
    Effect.gen(function* () {
      const other = vectors.good.find(({ id }) => id === "other-network")
      assert.strictEqual(
        reasonOf(yield* Effect.flip(AddressRecord.decode(other?.bytes ?? new Uint8Array()))),
        "OtherNetwork"
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("refuses a record in which any byte was changed, and any shorter or longer one", () =>
    Effect.gen(function* () {
      const { decode } = yield* AddressRecord.records
      const bytes = vectors.good[0]?.bytes ?? new Uint8Array()
      assert.isTrue(Result.isSuccess(decode(bytes)))
      for (let i = 0; i < bytes.length; i++) {
        const changed = bytes.slice()
        changed[i] = (changed[i] ?? 0) ^ (1 << (i % 8))
        assert.isTrue(Result.isFailure(decode(changed)), `byte ${i}`)
        assert.isTrue(Result.isFailure(decode(bytes.subarray(0, i))), `${i} bytes`)
      }
      assert.isTrue(Result.isFailure(decode(new Uint8Array([...bytes, 0]))))
    }).pipe(Effect.provide(layer))
  )
})

const layer = Sodium.layer
const some = { sequence: 1, expires: 1 }

describe("a record of one's own", () => {
  const refused = (fields: AddressRecord.Unsigned) =>
    Effect.gen(function* () {
      const pair = yield* Identity.generate
      return yield* Effect.flip(AddressRecord.sign(pair, fields))
    }).pipe(Effect.provide(layer))

  it.effect("has no address with a seed or token, and the error does not show it", () =>
    Effect.gen(function* () {
      const key = Identity.formatPublicKey((yield* Effect.provide(Identity.generate, layer)).publicKey)
      const error = yield* refused({ ...some, addresses: ["net:h:1", `net:h:1~shs:${key}:${key}`] })
      assert.strictEqual(
        error.message,
        "address record: address number 2: it has a seed or token, which everybody could read: leave it out"
      )
    })
  )

  it.effect("has at most 8 addresses and 1,000 bytes", () =>
    Effect.gen(function* () {
      assert.strictEqual(reasonOf(yield* refused({ ...some, addresses: Array(9).fill("net:h:1") })), "TooLarge")
      assert.strictEqual(
        (yield* refused({
          ...some,
          addresses: [
            `net:${"h".repeat(63)}.${"h".repeat(63)}.${"h".repeat(63)}:1`,
            ...Array(7).fill(`memory:${"x".repeat(100)}`)
          ]
        })).message,
        "address record: it has 1108 bytes and 8 addresses, and may have 1000 bytes and 8 addresses"
      )
    })
  )

  it.effect("has single addresses that parse, and numbers that are exact", () =>
    Effect.gen(function* () {
      assert.strictEqual(reasonOf(yield* refused({ ...some, addresses: ["net:h:99999"] })), "NotPublishable")
      assert.strictEqual(reasonOf(yield* refused({ ...some, addresses: ["net:h:1;net:h:2"] })), "NotPublishable")
      for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
        assert.strictEqual(reasonOf(yield* refused({ ...some, addresses: [], sequence: bad })), "Malformed")
        assert.strictEqual(reasonOf(yield* refused({ ...some, addresses: [], expires: bad })), "Malformed")
      }
    })
  )

  it.effect("is a schema, from and to bytes", () =>
    Effect.gen(function* () {
      const [vector] = vectors.good
      const record = yield* Schema.decodeUnknownEffect(AddressRecord.AddressRecordFromBytes)(vector?.bytes)
      assert.deepStrictEqual(yield* Schema.encodeEffect(AddressRecord.AddressRecordFromBytes)(record), vector?.bytes)
      const error = yield* Effect.flip(
        Schema.decodeUnknownEffect(AddressRecord.AddressRecordFromBytes)(new Uint8Array(3))
      )
      assert.include(error.message, "expected at least 146 bytes")
    }).pipe(Effect.provide(layer))
  )
})

describe("the newest record of each key", () => {
  const make = (sequence: number, expires: number, pair: Identity.KeyPair, addresses: ReadonlyArray<string> = []) =>
    AddressRecord.sign(pair, { addresses, sequence, expires })

  it.effect("is the one with the highest sequence, and of one sequence the first", () =>
    Effect.gen(function* () {
      const pair = yield* Identity.generate
      const kept = new AddressRecords()
      const first = yield* make(5, 100, pair)
      assert.strictEqual(kept.add(first, 0), "newest")
      assert.strictEqual(kept.add(yield* make(5, 100, pair), 0), "known")
      assert.strictEqual(kept.add(yield* make(5, 100, pair, ["net:h:1"]), 0), "conflict")
      assert.strictEqual(kept.add(yield* make(4, 1000, pair), 0), "older")
      assert.strictEqual(kept.get(pair.publicKey), first)
      const next = yield* make(6, 1, pair)
      assert.strictEqual(kept.add(next, 50), "newest")
      assert.strictEqual(kept.get(pair.publicKey), next)
    }).pipe(Effect.provide(layer))
  )

  it.effect("is dropped in the order of expiry when there are too many, and a far expiry buys no place", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.all(Array.from({ length: 4 }, () => Identity.generate))
      const [a, b, c, d] = pairs as [Identity.KeyPair, Identity.KeyPair, Identity.KeyPair, Identity.KeyPair]
      const kept = new AddressRecords({ keys: 3, longest: 1000 })
      // For ever, it says. It is kept as if it expired in 1,000 seconds.
      kept.add(yield* make(1, Number.MAX_SAFE_INTEGER, a), 0)
      kept.add(yield* make(1, 500, b), 0)
      kept.add(yield* make(1, 2000, c), 100)
      kept.add(yield* make(1, 1050, d), 100)
      assert.isUndefined(kept.get(b.publicKey))
      assert.strictEqual(kept.size, 3)
      kept.dropExpired(1000)
      assert.isUndefined(kept.get(a.publicKey))
      assert.deepStrictEqual(
        kept.all().map(({ publicKey }) => publicKey),
        [d.publicKey, c.publicKey]
      )
    }).pipe(Effect.provide(layer))
  )

  it.effect("is not kept longer because it is valid for longer than an hour", () =>
    Effect.gen(function* () {
      const pairs = yield* Effect.all(Array.from({ length: 3 }, () => Identity.generate))
      const [honest, filler, last] = pairs as [Identity.KeyPair, Identity.KeyPair, Identity.KeyPair]
      const kept = new AddressRecords({ keys: 2, longest: 7200 })
      kept.add(yield* make(1, 100 + 7200, filler), 0)
      kept.add(yield* make(1, 100 + 3600, honest), 100)
      kept.add(yield* make(1, 200 + 7200, last), 200)
      assert.isUndefined(kept.get(filler.publicKey))
      assert.isDefined(kept.get(honest.publicKey))
      assert.isFalse(kept.hasExpired(last.publicKey, 200 + 7199))
    }).pipe(Effect.provide(layer))
  )

  /** What has no signature: this memory looks at none. */
  const unsigned = (n: number, sequence: number, expires: number): AddressRecord.AddressRecord => {
    const publicKey = new Uint8Array(32)
    new DataView(publicKey.buffer).setUint32(0, n)
    return { publicKey, sequence, expires, addresses: [], bytes: publicKey } as unknown as AddressRecord.AddressRecord
  }

  it("is the same as if all were looked through each time", () => {
    const kept = new AddressRecords({ keys: 20, longest: 500 })
    let plain: Array<{ readonly record: AddressRecord.AddressRecord; readonly until: number }> = []
    let seed = 1
    const random = (below: number) => {
      seed = (seed * 48271) % 2147483647
      return seed % below
    }
    const same = ({ publicKey: a }: AddressRecord.AddressRecord, { publicKey: b }: AddressRecord.AddressRecord) =>
      a.join() === b.join()
    for (let i = 0; i < 3000; i++) {
      const record = unsigned(random(40), random(3000), random(1000))
      const before = plain.find((each) => same(each.record, record))
      if (before === undefined || before.record.sequence < record.sequence) {
        plain = [...plain.filter((each) => each !== before), { record, until: Math.min(record.expires, 500) }]
        plain.sort((a, b) => a.until - b.until)
        if (plain.length > 20) plain.shift()
      }
      kept.add(record, 0)
      if (random(100) === 0) {
        plain = plain.filter(({ until }) => until > 100)
        kept.dropExpired(100)
      }
      assert.deepStrictEqual(
        kept.all(),
        plain.map((each) => each.record)
      )
    }
  })

  it("takes a new key without looking through all when it is full", () => {
    const kept = new AddressRecords({ keys: 100 })
    for (let n = 0; n < 100; n++) kept.add(unsigned(n, 1, 1000 + n), 0)
    const iterations = [vi.spyOn(Map.prototype, Symbol.iterator), vi.spyOn(Map.prototype, "values")]
    for (let n = 100; n < 200; n++) kept.add(unsigned(n, 1, 1000 + n), 0)
    const looks = iterations.map(({ mock }) => mock.calls.length)
    for (const iteration of iterations) iteration.mockRestore()
    assert.deepStrictEqual(looks, [0, 0])
    assert.strictEqual(kept.size, 100)
  })
})
