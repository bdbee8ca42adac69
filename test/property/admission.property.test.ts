import { assert, describe, it } from "@effect/vitest"
import * as Arbitrary from "effect/Arbitrary"
import * as Clock from "effect/Clock"
import * as Schema from "effect/Schema"
import { Capacity } from "../../src/Capacity.ts"
import * as Limits from "../../src/Limits.ts"
import { Admission } from "../../src/listen/admission.ts"
import type { Place } from "../../src/listen/sources.ts"

const sources = [
  undefined,
  "203.0.113.1",
  "203.0.113.2",
  "203.0.114.1",
  "2001:db8::1",
  "2001:db8:0:100::1",
  "a key",
  "another key"
]

const steps = Arbitrary.array(
  Arbitrary.schema(
    Schema.Struct({
      does: Schema.Literals(["come", "come", "come", "answer", "settle", "leave", "know", "wait"]),
      who: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 })),
      from: Schema.Literals([0, 1, 2, 3, 4, 5, 6, 7])
    })
  ),
  { minLength: 1, maxLength: 200 }
)

const limits = {
  ...Limits.defaults,
  pendingHandshakes: 6,
  connections: 12,
  sourceConnections: 3,
  sourceRate: 4
}

/** One who has got a place, as the model has it. */
interface Guest {
  place: Place
  source: string | undefined
  ended: boolean
  pending: boolean
  answered: boolean
}

describe("the admission, whatever comes in whatever order", () => {
  it.prop(
    "never has more than it may, ends nobody who is through, refuses nobody for whom one can make room, and forgets all",
    { steps },
    ({ steps }) => {
      let now = 0
      const clock = Object.assign(Object.create(Clock.Clock.defaultValue()), {
        monotonicTimeNanosUnsafe: () => BigInt(now) * 1_000_000n
      })
      const capacity = new Capacity(limits.connections)
      const admission = new Admission(limits, capacity, clock)
      const guests: Array<Guest> = []
      const inside = () => guests.filter(({ ended, place }) => !ended && !place.gone)
      const pending = () => inside().filter(({ pending }) => pending)
      const ofSource = (source: string | undefined) => inside().filter((guest) => guest.source === source)
      for (const { does, from, who } of steps) {
        const source = sources[from]
        const present = inside()
        const guest = present[who % Math.max(1, present.length)]
        const [before, own] = [pending(), ofSource(source)]
        switch (does) {
          case "come": {
            let place: Place | undefined
            const admitted = admission.admit(source, {
              hasSpoken: () => who % 2 === 0,
              end: () => {
                const self = guests.find((each) => each.place === place)
                assert.isTrue(self?.pending, "somebody who is through was ended")
                if (self !== undefined) self.ended = true
              }
            })
            if (typeof admitted === "string") {
              if (admitted === "TooManyFromSource") assert.isFalse(own.some(({ pending }) => pending))
              if (admitted === "TooManyConnections") assert.strictEqual(before.length, 0)
              // Nobody is ended for one who does not get in.
              assert.strictEqual(pending().length, before.length)
              break
            }
            place = admitted
            const [silent, answered] = [before.filter((each) => !each.answered), before.filter((each) => each.answered)]
            const displaced = before.filter((each) => each.ended)
            if (before.length >= limits.pendingHandshakes && own.length < limits.sourceConnections) {
              assert.strictEqual(displaced.length, 1)
              assert.strictEqual(displaced[0]?.answered, answered.length > silent.length)
            }
            guests.push({ place: admitted, source, ended: false, pending: true, answered: false })
            break
          }
          case "answer":
            if (guest === undefined) break
            admission.answered(guest.place)
            guest.answered = true
            break
          case "settle":
            if (guest === undefined) break
            admission.settle(guest.place)
            guest.pending = false
            break
          case "leave":
            if (guest !== undefined) admission.leave(guest.place)
            break
          case "know":
            if (source === undefined || guest === undefined) break
            if (admission.move(guest.place, source) === undefined) guest.source = source
            assert.isFalse(guest.ended, "it made room for itself")
            break
          case "wait":
            now += who
        }
        assert.isAtMost(pending().length, limits.pendingHandshakes)
        assert.isAtMost(inside().length, limits.connections)
        for (const each of sources.slice(1)) assert.isAtMost(ofSource(each).length, limits.sourceConnections)
      }
      for (const { place } of guests) admission.leave(place)
      now += 60_000
      for (let i = 0; i < 20; i++) {
        const place = admission.admit(undefined, { hasSpoken: () => false, end: () => {} })
        if (typeof place !== "string") admission.leave(place)
      }
      assert.strictEqual(admission.remembered, 0)
      assert.isFalse(capacity.full)
    }
  )
})
