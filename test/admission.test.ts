/** Who gets in, by numbers alone: no sockets, and a clock that the test holds. */
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as TestClock from "effect/testing/TestClock"
import { Capacity } from "../src/Capacity.ts"
import { DialPlaces } from "../src/DialPlaces.ts"
import * as Limits from "../src/Limits.ts"
import * as Admission from "../src/listen/admission.ts"
import type { Newcomer, Place } from "../src/listen/sources.ts"
import { groupNames } from "../src/sourceGroups.ts"

/** One who comes, and what became of it. */
class Visitor {
  ended: string | undefined
  said = false
  hasSpoken(): boolean {
    return this.said
  }
  end(why: string): void {
    this.ended = why
  }
}

const make = (
  limits: Partial<Limits.LimitValues>,
  capacity = new Capacity(limits.connections ?? Number.POSITIVE_INFINITY)
) => Admission.make({ ...Limits.defaults, ...limits }, capacity)

/** Lets somebody in who has to get in. */
const enter = (admission: Admission.Admission, source: string | undefined, answered = false) => {
  const visitor = new Visitor()
  const place = admission.admit(source, visitor)
  assert.isTrue(typeof place !== "string", String(place))
  const entered = { visitor, place: place as Place }
  if (answered) answer(admission, entered)
  return entered
}

/** Its first message was valid. */
const answer = (admission: Admission.Admission, { place, visitor }: ReturnType<typeof enter>) => {
  visitor.said = true
  admission.answered(place)
}

/** Those that are still in, by their number. */
const remaining = (all: ReadonlyArray<ReturnType<typeof enter>>) =>
  all.flatMap(({ visitor }, i) => (visitor.ended === undefined ? [i] : []))

const refusal = (admission: Admission.Admission, source: string | undefined) => {
  const place = admission.admit(source, new Visitor())
  return typeof place === "string" ? place : undefined
}

const unlimited = { sourceConnections: 1e9, sourceRate: 1e9 }

describe("a newcomer when there is no room", () => {
  it.effect("takes the place of one that is here for something else, and of nobody whose handshakes are pending", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, connections: 4 })
      const pending = enter(admission, "203.0.113.1")
      const staying = [1, 2, 3].map((i) => enter(admission, `198.51.100.${i}`))
      for (const { place } of staying) admission.stay(place)
      for (let i = 0; i < 2; i++) enter(admission, `192.0.2.${i}`)
      assert.deepStrictEqual(remaining([pending, ...staying]), [0, 3])
      // Who leaves by itself is in nobody's way.
      const [, , last] = staying
      if (last !== undefined) admission.leave(last.place)
      enter(admission, "192.0.2.9")
      assert.deepStrictEqual(remaining([pending]), [0])
    })
  )

  it.effect("takes the place of one of its own source, when that has all that it may have", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, sourceConnections: 2 })
      const staying = [1, 2].map(() => enter(admission, "198.51.100.1"))
      for (const { place } of staying) admission.stay(place)
      enter(admission, "198.51.100.1")
      assert.deepStrictEqual(remaining(staying), [1])
    })
  )
})

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

  it.effect("displaces the oldest: whoever comes has as long as it takes to fill all places", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 100 })
      const all = Array.from({ length: 1100 }, () => enter(admission, undefined))
      assert.deepStrictEqual(
        remaining(all),
        Array.from({ length: 100 }, (_, i) => 1000 + i)
      )
    })
  )

  it.effect("displaces a silent one while most are silent, and an answered one while most have been answered", () =>
    Effect.gen(function* () {
      const admission = yield* make({ ...unlimited, pendingHandshakes: 100 })
      // In the order of their answers, which is not the one in which they came.
      const all = Array.from({ length: 100 }, () => enter(admission, undefined))
      const answered = [...all.slice(0, 30)].reverse()
      for (const each of answered) answer(admission, each)
      for (let i = 0; i < 40; i++) enter(admission, undefined)
      assert.isTrue(answered.every(({ visitor }) => visitor.ended === undefined))
      assert.strictEqual(remaining(all.slice(30)).length, 30)
      // Silent are 70 now. When 41 of them have been answered, those are most.
      for (const each of all.slice(70)) answer(admission, each)
      enter(admission, undefined)
      assert.deepStrictEqual(
        answered.map(({ visitor }) => visitor.ended),
        ["Displaced", ...Array(29).fill(undefined)]
      )
    })
  )

  it.effect("displaces nobody who says something at once for any number that are silent, nor the other way round", () =>
    Effect.gen(function* () {
      for (const flood of [false, true]) {
        const admission = yield* make({ ...unlimited, pendingHandshakes: 64 })
        const honest = enter(admission, undefined, !flood)
        for (let i = 0; i < 1000; i++) enter(admission, undefined, flood)
        assert.isUndefined(honest.visitor.ended)
      }
    })
  )

  it.effect("displaces the oldest of a source, a network or a region that has more than its share, in any order", () =>
    Effect.gen(function* () {
      const floods: ReadonlyArray<(i: number) => string> = [
        () => "198.51.100.1",
        (i) => `198.51.100.${i % 250}`,
        (i) => `198.51.${i % 250}.${(i / 250) | 0}`,
        (i) => `2001:db8:1:${(i % 250).toString(16)}00::1`,
        (i) => `2001:db8:${(i % 1000).toString(16)}::1`
      ]
      for (const flood of floods) {
        const admission = yield* make({ ...unlimited, pendingHandshakes: 1024 })
        const few = Array.from({ length: 8 }, () => enter(admission, "203.0.113.1"))
        const many = Array.from({ length: 1500 }, (_, i) => enter(admission, flood(i)))
        assert.strictEqual(remaining(few).length, 8)
        assert.deepStrictEqual(
          remaining(many),
          Array.from({ length: 1016 }, (_, i) => 484 + i)
        )
      }
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

describe("the deadline of the pending", () => {
  it.effect("goes on when ending one of them dies, and counts that one as gone", () =>
    Effect.gen(function* () {
      const capacity = new Capacity(10)
      const admission = yield* make({}, capacity)
      const come = (newcomer: Newcomer) => assert.isFalse(typeof admission.admit("198.51.100.1", newcomer) === "string")
      const dies = (): never => {
        throw new Error("its own fault")
      }
      const ended: Array<string> = []
      come({ hasSpoken: () => true, end: dies })
      come({ hasSpoken: dies, end: () => ended.push("never") })
      come({ hasSpoken: () => true, end: () => ended.push("third") })
      yield* TestClock.adjust("10 seconds")
      come({ hasSpoken: () => true, end: () => ended.push("fourth") })
      yield* TestClock.adjust("10 seconds")
      assert.deepStrictEqual(ended, ["third", "fourth"])
      assert.strictEqual(capacity.count, 0)
    }).pipe(Effect.provide(Logger.layer([])))
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
        const dial = new DialPlaces(capacity, { most: 10, room: 100 }).place(true)
        dial.take()
        dial.take()
        assert.strictEqual(refusal(admission, undefined), "TooManyConnections")
        dial.leave()
        dial.leave()
        dial.take()
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
      for (const { place } of all) admission.settle(place)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
      assert.isUndefined(refusal(admission, "198.51.100.2"))
      const [first] = all
      if (first !== undefined) {
        admission.leave(first.place)
        // Leaving twice is leaving once.
        admission.leave(first.place)
      }
      admission.settle(enter(admission, "198.51.100.1").place)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
    })
  )

  it.effect("that has all its connections gets another when one is pending: its oldest makes room", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 4 })
      const other = enter(admission, "203.0.113.1")
      const all = Array.from({ length: 100 }, () => enter(admission, "198.51.100.1"))
      assert.deepStrictEqual(remaining(all), [96, 97, 98, 99])
      // Those that are through stay, and leave the fewer to the others.
      for (const { place } of all.slice(96, 99)) admission.settle(place)
      for (let i = 0; i < 10; i++) all.push(enter(admission, "198.51.100.1"))
      assert.deepStrictEqual(remaining(all), [96, 97, 98, 109])
      assert.isUndefined(other.visitor.ended)
    })
  )

  it.effect("is in a network, which has 8 times as many connections, and in a region, which has 64 times", () =>
    Effect.gen(function* () {
      for (const [network, region] of [
        [(i: number) => `198.51.100.${i}`, (i: number) => `198.51.${i}.1`],
        [(i: number) => `2001:db8:1:${i.toString(16)}00::1`, (i: number) => `2001:db8:${i.toString(16)}::1`]
      ] as const) {
        const admission = yield* make({ sourceConnections: 2 })
        const settled = (source: string) => admission.settle(enter(admission, source).place)
        for (let i = 0; i < 16; i++) settled(network(i))
        assert.strictEqual(refusal(admission, network(16)), "TooManyFromSource")
        for (let i = 0; i < 112; i++) settled(region(101 + i))
        assert.strictEqual(refusal(admission, region(250)), "TooManyFromSource")
        assert.isUndefined(refusal(admission, "203.0.113.1"))
      }
    })
  )

  it.effect("may speak so often at once, and so often a second; who says nothing counts for nothing", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1000, sourceRate: 20 })
      const come = (times: number, comes: (admission: Admission.Admission) => void) => {
        for (let i = 0; i < times; i++) {
          if (refusal(admission, "198.51.100.1") !== undefined) return i
          comes(admission)
        }
        return times
      }
      const silent = () => admission.leave(enter(admission, "198.51.100.1").place)
      const through = () => admission.settle(enter(admission, "198.51.100.1").place)
      const faulty = () => {
        const { place, visitor } = enter(admission, "198.51.100.1")
        visitor.said = true
        admission.leave(place)
        admission.leave(place)
      }
      assert.strictEqual(come(400, silent), 400)
      assert.strictEqual(come(400, through), 20)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooFast")
      yield* TestClock.adjust("100 millis")
      assert.strictEqual(come(400, faulty), 2)
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(come(400, faulty), 20)
      // An answer counts when it is given, and not again when its newcomer is through or leaves.
      yield* TestClock.adjust("1 hour")
      const answered = () => {
        const { place } = enter(admission, "198.51.100.1")
        admission.answered(place)
        admission.answered(place)
        return place
      }
      const places: Array<ReturnType<typeof answered>> = []
      assert.strictEqual(
        come(400, () => void places.push(answered())),
        20
      )
      yield* TestClock.adjust("1 hour")
      for (const [i, place] of places.entries()) {
        if (i % 2 === 0) admission.settle(place)
        admission.leave(place)
      }
      assert.strictEqual(come(400, faulty), 20)
      // And none of that is another's.
      assert.isUndefined(refusal(admission, "198.51.100.2"))
    })
  )

  it.effect("owes for those that come at once and speak later", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceRate: 10 })
      const all = Array.from({ length: 30 }, () => enter(admission, "198.51.100.1"))
      for (const { place } of all) admission.settle(place)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooFast")
      for (const { place } of all) admission.leave(place)
      // It is not forgotten before it has paid.
      yield* TestClock.adjust("99 millis")
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooFast")
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(refusal(admission, "198.51.100.1"))
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
      for (const source of ["127.0.0.1", "::1"]) {
        strict.settle(enter(strict, source).place)
        assert.strictEqual(refusal(strict, source), "TooManyFromSource")
      }
      for (let i = 0; i < 3; i++) assert.isUndefined(refusal(strict, undefined))
    })
  )

  it("is an IPv4 address, or 56 bits of IPv6", () => {
    const same = (a: string, b: string) => groupNames(a, true)[0] === groupNames(b, true)[0]
    assert.isFalse(same("198.51.100.1", "198.51.100.2"))
    assert.isTrue(same("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::9"))
    assert.isFalse(same("2001:db8:1:200::1", "2001:db8:1:300::1"))
    assert.isTrue(same("2001:DB8:0:0:0::1", "2001:db8::2"))
    assert.isTrue(same("::ffff:198.51.100.1", "198.51.100.1"))
    assert.isTrue(same("fe80::1%eth0", "fe80::2%eth1"))
    assert.isTrue(same("198.51.100.1%a", "198.51.100.1%b"))
    assert.isTrue(same("203.0.113.7%a", "203.0.113.7%b"))
  })

  it.effect("that is known as another one of its full network takes no room from itself, and displaces nobody", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1 })
      const all = Array.from({ length: 8 }, (_, i) => enter(admission, `198.51.100.${i + 1}`))
      const [first] = all
      assert.isUndefined(first && admission.move(first.place, "198.51.100.99"))
      assert.strictEqual(remaining(all).length, 8)
      // Its new source is full now, and its network still is.
      all.forEach(({ place }) => {
        admission.settle(place)
      })
      assert.strictEqual(refusal(admission, "198.51.100.99"), "TooManyFromSource")
      assert.strictEqual(refusal(admission, "198.51.100.9"), "TooManyFromSource")
      for (const { place } of all) admission.leave(place)
      // Each group has counted each that left once: all that it may have can come again, and no more.
      const again = Array.from({ length: 8 }, (_, i) => enter(admission, `198.51.100.${99 - i}`))
      for (const { place } of again) admission.settle(place)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
    })
  )

  it.effect("that is known as one that is refused counts where it did until it leaves", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1 })
      admission.settle(enter(admission, "203.0.113.1").place)
      const { place } = enter(admission, "198.51.100.1")
      assert.strictEqual(admission.move(place, "203.0.113.1"), "TooManyFromSource")
      admission.settle(place)
      assert.strictEqual(refusal(admission, "198.51.100.1"), "TooManyFromSource")
      admission.leave(place)
      assert.isUndefined(admission.move(place, "198.51.100.2"))
      for (const source of ["198.51.100.1", "198.51.100.2"]) assert.isUndefined(refusal(admission, source))
    })
  )

  it.effect("is whatever its transport names it by: a key has the same limits as an IP, and no network", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1, sourceRate: 10 })
      // Also one that looks like loopback, or like a network of somebody else's.
      const keys = [
        "p7Y4kRPaCHtwiM0Cdpsh3MHtZw1M2HxFqz+QS7IJqUg=",
        "127.me",
        "127.0.0.1:8008",
        "me:127::1x",
        "198.51.100"
      ]
      admission.settle(enter(admission, "198.51.100.1").place)
      for (const key of keys) {
        admission.settle(enter(admission, key).place)
        assert.strictEqual(refusal(admission, key), "TooManyFromSource", key)
        assert.deepStrictEqual(groupNames(key, true), [key])
      }
    })
  )

  it.effect("whose address is known later counts as itself from then on", () =>
    Effect.gen(function* () {
      const admission = yield* make({ sourceConnections: 1, sourceRate: 10 })
      const [first, second] = [enter(admission, undefined), enter(admission, undefined)]
      assert.isUndefined(admission.move(first.place, "198.51.100.1"))
      admission.settle(first.place)
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
