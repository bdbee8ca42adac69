/** Who gets in, by numbers alone: no sockets, and a clock and dice that the test holds. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as TestClock from "effect/testing/TestClock"
import { Capacity } from "../src/Capacity.ts"
import * as Limits from "../src/Limits.ts"
import * as Admission from "../src/listen/admission.ts"
import { type Place, sourceKey } from "../src/listen/sources.ts"

/** One who comes, and what became of it. */
class Visitor {
  ended: string | undefined
  hasAnswer = false
  answered(): boolean {
    return this.hasAnswer
  }
  end(why: string): void {
    this.ended = why
  }
}

const make = (
  limits: Partial<Limits.LimitValues>,
  capacity = new Capacity(limits.connections ?? Number.POSITIVE_INFINITY)
) => Admission.make({ ...Limits.defaults, ...limits }, capacity).pipe(Random.withSeed("admission"))

/** Lets somebody in who has to get in. */
const enter = (admission: Admission.Admission, source: string | undefined, answered = false) => {
  const visitor = new Visitor()
  visitor.hasAnswer = answered
  const place = admission.admit(source, visitor)
  assert.isTrue(typeof place !== "string", String(place))
  return { visitor, place: place as Place }
}

const refusal = (admission: Admission.Admission, source: string | undefined) => {
  const place = admission.admit(source, new Visitor())
  return typeof place === "string" ? place : undefined
}

const unlimited = { sourceConnections: 1e9, sourceRate: 1e9 }

describe("a newcomer when too many are pending", () => {
  it.effect("gets in, and one of the source that holds most makes room", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 10 })
      const few = ["203.0.113.1", "203.0.113.2", "203.0.113.3"].map((source) => enter(admission, source))
      const many = Array.from({ length: 7 }, () => enter(admission, "198.51.100.1"))
      const displaced = () => many.filter(({ visitor }) => visitor.ended === "Displaced").length
      for (let i = 1; i <= 5; i++) {
        enter(admission, `203.0.113.${10 + i}`)
        assert.strictEqual(displaced(), i)
      }
      assert.isTrue(few.every(({ visitor }) => visitor.ended === undefined))
    })
  )

  it.effect("displaces one that was not answered before one that was, also when it was answered only just now", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 100 })
      const all = Array.from({ length: 100 }, () => enter(admission, "198.51.100.1"))
      // An answer to every other one: the admission was not told, and asks.
      for (const [i, { visitor }] of all.entries()) visitor.hasAnswer = i % 2 === 0
      const later = Array.from({ length: 50 }, () => enter(admission, "198.51.100.1", true))
      for (const [i, { visitor }] of all.entries()) {
        assert.strictEqual(visitor.ended, i % 2 === 0 ? undefined : "Displaced", String(i))
      }
      // Only answered ones are left: now one of those.
      enter(admission, "198.51.100.1", true)
      assert.strictEqual([...all, ...later].filter(({ visitor }) => visitor.ended !== undefined).length, 51)
    })
  )

  it.effect("displaces at random: who has just come and who has long been there", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 100 })
      const all = Array.from({ length: 100 }, () => enter(admission, "198.51.100.1"))
      for (let i = 0; i < 1000; i++) all.push(enter(admission, "198.51.100.1"))
      // After 1,000 newcomers, each of which ended 1 of 100, hardly any of the first are left, and some of the middle.
      const left = all.flatMap(({ visitor }, i) => (visitor.ended === undefined ? [i] : []))
      assert.strictEqual(left.length, 100)
      assert.isBelow(left.filter((i) => i < 100).length, 5)
      assert.isAbove(left.filter((i) => i < 1000).length, 20)
    })
  )

  it.effect("finds a silent one among a thousand sources of one each, most of which have been answered", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 1000 })
      const all = Array.from({ length: 1000 }, (_, i) =>
        enter(admission, `198.51.${Math.floor(i / 250)}.${i % 250}`, i % 4 !== 0)
      )
      for (let i = 0; i < 50; i++) enter(admission, `203.0.113.${i}`)
      const answered = all.filter(({ visitor }) => visitor.ended !== undefined && visitor.hasAnswer).length
      // Eight looks find none of a quarter 1 time in 10.
      assert.isBelow(answered, 15)
    })
  )

  it.effect("looks at one of a thousand that are pending, and not at each", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 1024 })
      let asked = 0
      const answered = () => {
        asked++
        return false
      }
      for (let i = 0; i < 20_000; i++) admission.admit(`10.0.${i % 4}.${i % 251}`, { end: () => {}, answered })
      assert.strictEqual(asked, 20_000 - 1024)
    })
  )

  it.effect("displaces nobody who is through, and nobody for one who has left", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 2 })
      const through = enter(admission, "198.51.100.1")
      admission.settle(through.place)
      const gone = enter(admission, "198.51.100.1")
      admission.leave(gone.place)
      const stays = enter(admission, "198.51.100.1")
      enter(admission, "198.51.100.1")
      assert.deepStrictEqual(
        [through, gone, stays].map(({ visitor }) => visitor.ended),
        [undefined, undefined, undefined]
      )
      enter(admission, "203.0.113.1")
      assert.isUndefined(through.visitor.ended)
    })
  )
})

describe("the number of connections", () => {
  it.effect("is that of the limit or what the system has room for, whichever is less, dials included", () =>
    Effect.gen(function* () {
      for (const [connections, room] of [
        [3, 10],
        [10, 3]
      ] as const) {
        const capacity = new Capacity(connections, room)
        const admission = yield* make({ ...unlimited, connections }, capacity)
        const all = Array.from({ length: 2 }, () => enter(admission, undefined))
        for (const { place } of all) admission.settle(place)
        const { begin, end } = capacity.lease()
        begin()
        begin()
        assert.strictEqual(refusal(admission, undefined), "TooManyConnections")
        end()
        end()
        begin()
        admission.settle(enter(admission, undefined).place)
        assert.strictEqual(refusal(admission, undefined), "TooManyConnections")
      }
    })
  )

  it.effect("is kept by ending one that is pending, when there is one", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, connections: 3 })
      const silent = [enter(admission, "198.51.100.1"), enter(admission, "198.51.100.1")]
      admission.settle(enter(admission, "203.0.113.1").place)
      admission.settle(enter(admission, "203.0.113.2").place)
      admission.settle(enter(admission, "203.0.113.3").place)
      assert.isTrue(silent.every(({ visitor }) => visitor.ended === "Displaced"))
      assert.strictEqual(refusal(admission, "203.0.113.4"), "TooManyConnections")
    })
  )
})

describe("one source", () => {
  it.effect("has so many connections, and gets another when one is gone", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceRate: 1000 })
      const all = Array.from({ length: 64 }, () => enter(admission, "198.51.100.1"))
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
      assert.isUndefined(refusal(admission, "198.51.100.2"))
      const [first] = all
      if (first !== undefined) {
        admission.leave(first.place)
        // Leaving twice is leaving once.
        admission.leave(first.place)
      }
      assert.isUndefined(refusal(admission, "198.51.100.1"))
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
    })
  )

  it.effect("may come twenty times at once, and twenty times a second", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1000 })
      const come = (times: number) =>
        Array.from({ length: times }, () => refusal(admission, "198.51.100.1")).filter((each) => each === undefined)
          .length
      assert.strictEqual(come(30), 20)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooFast")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(come(30), 2)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(come(30), 20)
      // And none of that is another's.
      assert.isUndefined(refusal(admission, "198.51.100.2"))
    })
  )

  it.effect("is not exempt from loopback when the limits say so, and has no limit of its own otherwise", () =>
    Effect.gen(function* () {
      const exempt = yield* make({ sourceConnections: 1, sourceRate: 1 })
      for (const source of ["127.0.0.1", "127.9.9.9", "::1", undefined]) {
        assert.isUndefined(refusal(exempt, source))
        assert.isUndefined(refusal(exempt, source))
      }
      const strict = yield* make({ sourceConnections: 1, sourceRate: 1, exemptLoopback: false })
      assert.isUndefined(refusal(strict, "127.0.0.1"))
      assert.strictEqual(refusal(strict, "127.0.0.1"), "TooManyFromSource")
      for (let i = 0; i < 3; i++) assert.isUndefined(refusal(strict, undefined))
    })
  )

  it("is an IPv4 address, or 56 bits of IPv6", () => {
    const same = (a: string, b: string) => sourceKey(a, true) === sourceKey(b, true)
    assert.isFalse(same("198.51.100.1", "198.51.100.2"))
    assert.isTrue(same("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::9"))
    assert.isFalse(same("2001:db8:1:200::1", "2001:db8:1:300::1"))
    assert.isTrue(same("2001:DB8:0:0:0::1", "2001:db8::2"))
    assert.isTrue(same("::ffff:198.51.100.1", "198.51.100.1"))
    assert.isTrue(same("fe80::1%eth0", "fe80::2%eth1"))
    assert.isTrue(same("198.51.100.1%a", "198.51.100.1%b"))
  })

  it.effect("whose address is known later counts as itself from then on", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1, sourceRate: 10 })
      const [first, second] = [enter(admission, undefined), enter(admission, undefined)]
      assert.isUndefined(admission.move(first.place, "198.51.100.1"))
      assert.strictEqual(admission.move(second.place, "198.51.100.1"), "TooManyFromSource")
      admission.leave(second.place)
      admission.leave(first.place)
      assert.isUndefined(refusal(admission, "198.51.100.1"))
    })
  )

  it.effect("is forgotten when it is gone for a second; in the meantime so many are remembered and no more", () =>
    Effect.gen(function* () {
      const admission = yield* make({})
      const visit = (i: number) => {
        const place = admission.admit(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, new Visitor())
        if (typeof place !== "string") admission.leave(place)
      }
      for (let i = 0; i < 100_000; i++) visit(i)
      assert.isAtMost(admission.remembered, 16_384 + 2)
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 20_000; i++) {
        visit(i)
        if (i % 100 === 0) yield* TestClock.adjust("100 millis")
      }
      assert.isAtMost(admission.remembered, 2000)
    })
  )
})

describe("the deadline", () => {
  it.effect("ends each that is still pending, counted from when it came", () =>
    Effect.gen(function* () {
      const admission = yield* make({ handshake: Duration.seconds(10) })
      const first = enter(admission, undefined)
      const through = enter(admission, undefined)
      yield* TestClock.adjust("4 seconds")
      admission.settle(through.place)
      const second = enter(admission, undefined)
      yield* TestClock.adjust("5999 millis")
      assert.isUndefined(first.visitor.ended)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(first.visitor.ended, "TimedOut")
      assert.isUndefined(second.visitor.ended)
      yield* TestClock.adjust("4 seconds")
      assert.strictEqual(second.visitor.ended, "TimedOut")
      assert.isUndefined(through.visitor.ended)
      // And after a time with nobody.
      yield* TestClock.adjust("1 hour")
      const third = enter(admission, undefined)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(third.visitor.ended, "TimedOut")
    })
  )
})
