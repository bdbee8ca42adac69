/** A tracker: what it takes and gives, and what callers can't make it do. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import type * as AddressRecord from "../../src/AddressRecord.ts"
import * as AppKey from "../../src/AppKey.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Tracker from "../../src/Tracker.ts"
import { Rates } from "../../src/tracker/rates.ts"
import { turns, until } from "../support/servers.ts"
import { callsOf, finds, inSeconds, type Person, people, recordOf, written } from "./support.ts"

/** A tracker in memory, and the people around it. */
const world = (options: Tracker.Options = {}) =>
  Effect.gen(function* () {
    const somebody = yield* people
    const server = yield* somebody
    const context = yield* Layer.build(Tracker.layer("memory:tracker~shs", options).pipe(Layer.provide(server.layer)))
    const at = Context.get(context, Tracker.Tracker).addresses()
    return { at, somebody, callsOf: (person: Person) => callsOf(person, at) }
  })

/** Why the tracker refuses. */
const refusal = <A, E>(call: Effect.Effect<A, Tracker.TrackerError | E>) =>
  Effect.map(Effect.flip(call), (error) => (error instanceof Tracker.TrackerError ? error.reason : error))

describe("a tracker", () => {
  it.effect("takes the record of its publisher, and gives it to whoever asks for the key", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world()
      const [alice, bob] = [yield* somebody, yield* somebody]
      const record = yield* recordOf(alice)
      yield* (yield* callsOf(alice)).Publish({ record: record.bytes })
      const { Find } = yield* callsOf(bob)
      assert.deepStrictEqual(yield* Find({ key: alice.pair.publicKey }), [record.bytes])
      assert.deepStrictEqual(yield* Find({ key: bob.pair.publicKey }), [])
    })
  )

  it.effect("takes newer records, and refuses older ones with the sequence that it has", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world()
      const alice = yield* somebody
      const { Find, Publish } = yield* callsOf(alice)
      const publish = (fields: Partial<AddressRecord.Unsigned>) =>
        Effect.flatMap(recordOf(alice, fields), ({ bytes }) => Publish({ record: bytes }))
      yield* publish({ sequence: 7 })
      yield* publish({ sequence: 9 })
      // The same again is what a peer says whose answer was lost.
      yield* publish({ sequence: 9 })
      assert.deepInclude(yield* refusal(publish({ sequence: 8 })), { _tag: "Older", sequence: 9 })
      const other = publish({ sequence: 9, addresses: ["memory:elsewhere~shs"] })
      assert.deepInclude(yield* refusal(other), { _tag: "Conflict", sequence: 9 })
      const { bytes } = yield* recordOf(alice, { sequence: 9 })
      assert.deepStrictEqual(yield* Find({ key: alice.pair.publicKey }), [bytes])
    })
  )

  it.effect("takes no record of another key, no forged one, none of another network, and nothing else", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world()
      const [alice, mallory] = [yield* somebody, yield* somebody]
      const { Find, Publish } = yield* callsOf(mallory)
      const record = yield* recordOf(alice)
      assert.deepInclude(yield* refusal(Publish({ record: record.bytes })), { _tag: "OtherPeer" })

      const own = yield* recordOf(mallory)
      const forged = own.bytes.slice()
      forged[own.bytes.length - 1] = (forged[own.bytes.length - 1] ?? 0) ^ 1
      assert.deepInclude(yield* refusal(Publish({ record: forged })), { _tag: "BadRecord", tag: "Forged" })

      const elsewhere = yield* recordOf(mallory).pipe(Effect.provide(AppKey.layer(yield* otherNetwork)))
      const reason = yield* refusal(Publish({ record: elsewhere.bytes }))
      assert.deepInclude(reason, { _tag: "BadRecord", tag: "OtherNetwork" })

      const nothing = yield* refusal(Publish({ record: new Uint8Array(100) }))
      assert.deepInclude(nothing, { _tag: "BadRecord", tag: "Malformed" })
      for (const { pair } of [alice, mallory]) assert.deepStrictEqual(yield* Find({ key: pair.publicKey }), [])
    })
  )

  it.effect("refuses a record that has expired, and gives none that has expired since", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world()
      const alice = yield* somebody
      yield* TestClock.adjust("1 hour")
      const { Find, Publish } = yield* callsOf(alice)
      const now = yield* inSeconds(0)
      const old = yield* recordOf(alice, { expires: now })
      assert.deepInclude(yield* refusal(Publish({ record: old.bytes })), { _tag: "Expired", expires: now })
      const { bytes } = yield* recordOf(alice, { expires: now + 60 })
      yield* Publish({ record: bytes })
      yield* TestClock.adjust("59 seconds")
      assert.deepStrictEqual(yield* Find({ key: alice.pair.publicKey }), [bytes])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* Find({ key: alice.pair.publicKey }), [])
    })
  )

  it.effect("keeps no record for longer than two hours, whatever the record says", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world()
      const alice = yield* somebody
      const { bytes } = yield* recordOf(alice, { expires: 2 ** 40 })
      yield* Effect.scoped(Effect.flatMap(callsOf(alice), ({ Publish }) => Publish({ record: bytes })))
      const found = Effect.scoped(Effect.flatMap(callsOf(alice), ({ Find }) => Find({ key: alice.pair.publicKey })))
      yield* TestClock.adjust("119 minutes")
      assert.deepStrictEqual(yield* found, [bytes])
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* found, [])
    })
  )

  it.effect("keeps a bounded number of keys: the record that expires first goes", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world({ records: { keys: 2 } })
      const found = yield* Effect.forEach([300, 100, 200], (seconds) =>
        Effect.gen(function* () {
          const person = yield* somebody
          const { bytes } = yield* recordOf(person, { expires: yield* inSeconds(seconds) })
          yield* (yield* callsOf(person)).Publish({ record: bytes })
          return person.pair.publicKey
        })
      )
      const { Find } = yield* callsOf(yield* somebody)
      const counts = yield* Effect.forEach(found, (key) => Effect.map(Find({ key }), ({ length }) => length))
      assert.deepStrictEqual(counts, [1, 0, 1])
    })
  )

  it.effect("refuses who calls too often, says until when, and answers others meanwhile", () =>
    Effect.gen(function* () {
      const { callsOf, somebody } = yield* world({
        finds: { burst: 3, every: "400 millis" },
        publications: { burst: 2, every: "10 seconds" }
      })
      const [alice, bob] = [yield* somebody, yield* somebody]
      const { Find, Publish } = yield* callsOf(alice)
      const key = alice.pair.publicKey
      for (let i = 0; i < 3; i++) yield* Find({ key })
      assert.deepInclude(yield* refusal(Find({ key })), { _tag: "TooOften", retryAfter: 400 })
      assert.deepStrictEqual(yield* (yield* callsOf(bob)).Find({ key }), [])
      // Its next call is not read before that time, and is answered then.
      const next = yield* Effect.forkChild(Find({ key }))
      yield* turns
      assert.isUndefined(next.pollUnsafe())
      yield* TestClock.adjust("400 millis")
      assert.deepStrictEqual(yield* Fiber.join(next), [])

      const record = yield* recordOf(alice)
      for (let i = 0; i < 2; i++) yield* Publish({ record: record.bytes })
      assert.deepInclude(yield* refusal(Publish({ record: record.bytes })), { _tag: "TooOften", retryAfter: 10_000 })
    })
  )

  it.effect("works on 8 calls of a connection, and reads no more until they are answered", () =>
    Effect.gen(function* () {
      const { at, callsOf, somebody } = yield* world({ finds: { burst: 1e6, every: "1 milli" } })
      const [flooder, honest] = [yield* somebody, yield* somebody]
      const connection = yield* flooder.as(Multiserver.dial(at))
      const { bytes } = yield* recordOf(flooder)
      yield* (yield* callsOf(flooder)).Publish({ record: bytes })
      let sent = 0
      // Whoever reads no answers gets to ask no more.
      const flood = Effect.gen(function* () {
        const ids = Array.from({ length: 100 }, (_, i) => sent + i)
        yield* connection.write(yield* written(...(yield* finds(flooder.pair.publicKey, ...ids))))
        sent += 100
      })
      const flooding = yield* Effect.forkChild(Effect.forever(flood))
      let before = -1
      while (before !== sent) {
        before = sent
        yield* turns
      }
      assert.isBelow(sent, 20_000)
      assert.isUndefined(flooding.pollUnsafe())
      assert.deepStrictEqual(yield* (yield* callsOf(honest)).Find({ key: honest.pair.publicKey }), [])
      // And it is sent away after the idle time.
      yield* TestClock.adjust("4 minutes")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(flooding)))
    })
  )

  const nonsense = {
    "bytes that are no messages": Effect.succeed(new Uint8Array(200).fill(0xab)),
    "a message that is longer than 4,096 bytes": Effect.flatMap(finds(new Uint8Array(32), 1), ([find]) =>
      written({ ...(find ?? { _tag: "Ping" }), headers: [["x", "y".repeat(5000)]] } as never)
    ),
    "a call that wants no answer": Effect.flatMap(finds(new Uint8Array(32), 1), ([find]) =>
      written({ ...(find ?? { _tag: "Ping" }), isNotification: true } as never)
    ),
    "the end of all calls": written({ _tag: "Eof" })
  }
  it.effect.each(Object.entries(nonsense))("ends a connection that sends %s, and no other", ([, bytes]) =>
    Effect.gen(function* () {
      const { at, callsOf, somebody } = yield* world()
      const [mallory, alice] = [yield* somebody, yield* somebody]
      const { Find } = yield* callsOf(alice)
      const connection = yield* mallory.as(Multiserver.dial(at))
      yield* connection.write(yield* bytes)
      const account = yield* Effect.forkChild(connection.closed)
      yield* Effect.forkChild(Effect.forever(connection.pull))
      yield* until(() => account.pollUnsafe() !== undefined)
      assert.deepStrictEqual(yield* Find({ key: alice.pair.publicKey }), [])
    })
  )

  it.effect("ends a connection that gives two calls that wait for their answers one number", () =>
    Effect.gen(function* () {
      const { at, somebody } = yield* world({ finds: { burst: 1e6, every: "1 milli" } })
      const connection = yield* (yield* somebody).as(Multiserver.dial(at))
      const same = yield* written(...(yield* finds(new Uint8Array(32), ...Array(100).fill(1))))
      // As long as each is answered before the next, they are calls like others.
      const error = yield* Effect.flip(Effect.forever(connection.write(same)))
      assert.strictEqual(error._tag, "ConnectionError")
    })
  )

  it.effect("ends a connection that makes no calls, with a goodbye, and pings are no calls", () =>
    Effect.gen(function* () {
      const { at, somebody } = yield* world()
      const connection = yield* (yield* somebody).as(Multiserver.dial(at))
      const ended = yield* Effect.forkChild(Effect.flip(Effect.forever(connection.pull)))
      for (let i = 0; i < 3; i++) {
        yield* connection.write(yield* written({ _tag: "Ping" }))
        yield* turns
        yield* TestClock.adjust("1 minute")
      }
      assert.isTrue(Cause.isDone(yield* Fiber.join(ended)))
    })
  )

  // A listener that stops looks at the clock for the goodbyes of its peers.
  it.live("answers what was asked when its clients end their side, and says goodbye when it stops", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const server = yield* somebody
      const scope = yield* Scope.fork(yield* Effect.scope)
      const context = yield* Layer.build(Tracker.layer("memory:tracker~shs").pipe(Layer.provide(server.layer))).pipe(
        Scope.provide(scope)
      )
      const at = Context.get(context, Tracker.Tracker).addresses()
      const { as, pair } = yield* somebody
      const [asking, waiting] = [yield* as(Multiserver.dial(at)), yield* as(Multiserver.dial(at))]
      yield* asking.write(yield* written(...(yield* finds(pair.publicKey, 1))))
      yield* asking.end
      assert.isNotEmpty(yield* asking.pull)
      assert.isTrue(Cause.isDone(yield* Effect.flip(asking.pull)))
      const stopping = yield* Effect.forkChild(Scope.close(scope, Exit.void))
      assert.isTrue(Cause.isDone(yield* Effect.flip(waiting.pull)))
      yield* waiting.end
      yield* Fiber.join(stopping)
    })
  )

  it.effect("is not served where no key is proved", () =>
    Effect.gen(function* () {
      const server = yield* Effect.flatten(people)
      for (const target of ["memory:open", "memory:one~shs;memory:open"]) {
        const error = yield* Effect.flip(server.as(Tracker.serve(target)))
        if (error._tag !== "ListenError") return assert.fail(error._tag)
        assert.strictEqual(error.reason._tag, "NotListenable")
        assert.include(error.message, "add ~shs or ~noise")
      }
      // Nothing stays bound.
      yield* Effect.scoped(server.as(Multiserver.listen("memory:open")))
    })
  )
})

const otherNetwork = Effect.suspend(() => Effect.fromOption(AppKey.parse(Buffer.alloc(32, 7).toString("base64"))))

describe("the rates of a tracker", () => {
  const rates = () => new Rates({ burst: 2, every: "1 second" }, true)

  it("count a key, wherever it calls from", () => {
    const own = rates()
    assert.deepStrictEqual(
      ["203.0.113.1", "198.51.100.1", "192.0.2.1"].map((source) => own.take("a", source, 0)),
      [0, 0, 1000]
    )
    assert.strictEqual(own.take("b", "192.0.2.1", 0), 0)
    assert.strictEqual(own.take("a", "192.0.2.1", 1000), 0)
  })

  it("count an IP, whatever its keys; its networks may call 8 and 64 times as often", () => {
    const own = rates()
    let keys = 0
    const calls = (count: number, source: (i: number) => string) =>
      Array.from({ length: count }, (_, i) => own.take(`key ${keys++}`, source(i), 0)).filter((each) => each === 0)
        .length
    assert.strictEqual(
      calls(10, () => "203.0.113.1"),
      2
    )
    assert.strictEqual(
      calls(100, (i) => `203.0.113.${i + 2}`),
      14
    )
    assert.strictEqual(
      calls(1000, (i) => `203.0.${i % 100}.${i % 251}`),
      112
    )
    assert.strictEqual(
      calls(10, () => "2001:db8::1"),
      2
    )
  })

  it("leave out loopback, if that is exempt", () => {
    const take = (own: Rates, i: number) => own.take(`key ${i}`, "127.0.0.1", 0)
    const exempt = rates()
    assert.isTrue([1, 2, 3, 4].every((i) => take(exempt, i) === 0))
    const strict = new Rates({ burst: 2, every: "1 second" }, false)
    assert.deepStrictEqual(
      [1, 2, 3].map((i) => take(strict, i) === 0),
      [true, true, false]
    )
  })

  it("can't be nothing", () => {
    assert.throws(() => new Rates({ burst: 0, every: "1 second" }, true), RangeError, "burst")
    assert.throws(() => new Rates({ burst: 1, every: 0 }, true), RangeError, "every")
  })

  it("are remembered for a bounded number of callers, of whom those that call stay", () => {
    const own = rates()
    own.take("a", "203.0.113.1", 0)
    own.take("a", "203.0.113.1", 0)
    for (let i = 0; i < 20_000; i++) {
      own.take(`key ${i}`, undefined, 0)
      if (i % 1000 === 0) assert.isAbove(own.take("a", "203.0.113.1", 0), 0)
    }
    assert.isAtMost(own.size, 16_384)
  })
})
