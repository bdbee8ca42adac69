/**
 * A flood of newcomers and the honest among them, in virtual time: the admission as it is, and neither sockets nor a
 * network.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import { Capacity } from "../../src/Capacity.ts"
import * as Limits from "../../src/Limits.ts"
import { Admission } from "../../src/listen/admission.ts"
import type { Place } from "../../src/listen/sources.ts"

export interface Flood {
  /** Newcomers a second, at random moments. */
  readonly rate: number
  /** Whether they say a valid hello before they say nothing. */
  readonly answered: boolean
  /** Where they come from, in turn. */
  readonly sources: ReadonlyArray<string>
}

/** Those who want to be served. */
export interface Guests {
  readonly source: string
  /** Milliseconds to their first message, and again to their second, with which they are through. */
  readonly pause: number
}

const seconds = 20
/** Guests come so often, and are gone as soon as they are through. */
const everyMillis = 50
/** Both have begun before anything counts. */
const warmMillis = 2000

/** Numbers from 0 to 1, the same for each run. */
const random = () => {
  let state = 1
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

/** How many of a hundred guests are not served. */
export const failures = (flood: Flood, guests: Guests): number => {
  let now = 0
  const clock = Object.assign(Object.create(Clock.Clock.defaultValue()), {
    monotonicTimeNanosUnsafe: () => BigInt(Math.round(now * 1e6))
  })
  const limits = { ...Limits.defaults, exemptLoopback: false }
  const admission = new Admission(limits, new Capacity(Number.POSITIVE_INFINITY), clock)
  const handshakeMillis = Duration.toMillis(limits.handshake)

  /** What is to happen, by when. */
  const agenda = new Map<number, Array<() => void>>()
  const after = (millis: number, run: () => void) => {
    const at = Math.round(now + millis)
    agenda.set(at, [...(agenda.get(at) ?? []), run])
  }
  const come = (source: string, speaksAfter: number | undefined, through: (place: Place) => void) => {
    const visitor = {
      ended: false,
      said: false,
      hasSpoken: () => visitor.said,
      end: () => {
        visitor.ended = true
      }
    }
    const place = admission.admit(source, visitor)
    if (typeof place === "string") return { ended: true }
    const leave = () => admission.leave(place)
    if (speaksAfter === undefined) after(handshakeMillis, leave)
    else {
      after(speaksAfter, () => {
        if (place.gone) return
        visitor.said = true
        admission.answered(place)
        through(place)
        after(handshakeMillis - speaksAfter, leave)
      })
    }
    return visitor
  }

  const chance = random()
  let came = 0
  let failed = 0
  let made = 0
  const guest = () => {
    const visitor = come(guests.source, guests.pause, (place) =>
      after(guests.pause, () => {
        if (place.gone) return
        admission.settle(place)
        admission.leave(place)
      })
    )
    if (now < warmMillis) return
    came++
    after(2 * guests.pause + 1, () => {
      if (visitor.ended) failed++
    })
  }
  const end = warmMillis + seconds * 1000
  for (; now < end + 2 * guests.pause + 2; now++) {
    for (const run of agenda.get(now) ?? []) run()
    agenda.delete(now)
    // Binomial, four times a millisecond; a guest comes before, after or between them.
    const turn = now % everyMillis === 0 && now < end ? Math.floor(chance() * 5) : undefined
    for (let i = 0; i < 5; i++) {
      if (i === turn) guest()
      if (i === 4 || chance() * 4000 >= flood.rate) continue
      come(flood.sources[made++ % flood.sources.length] ?? "", flood.answered ? 1 : undefined, () => {})
    }
  }
  return (100 * failed) / came
}
