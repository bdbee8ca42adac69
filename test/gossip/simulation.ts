/**
 * Many nodes over memory, in virtual time. Nodes stop, start anew without memory, move to another address, and publish
 * again. Each record has to reach every node that stays up, within the rounds that docs/lookup-gossip.md states.
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import type { AddressRecord } from "../../src/AddressRecord.ts"
import { Primitives } from "../../src/crypto/Primitives.ts"
import * as Gossip from "../../src/Gossip.ts"
import { Identity } from "../../src/Identity.ts"
import * as Limits from "../../src/Limits.ts"
import type { Source } from "../../src/Lookup.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import { primitives } from "../support/primitives.ts"
import { turn } from "../support/servers.ts"
import { numbers, pairOf, recordOf } from "./support.ts"
import { graph, roundsFor } from "./topology.ts"

export interface Plan {
  readonly nodes: number
  /** How many peers each node lists. */
  readonly degree: number
  /** How many rounds nodes stop, start, move and publish. */
  readonly churn: number
  /** How many nodes stop in each of these rounds, and how many publish. */
  readonly changes: number
  readonly seed: number
}

/** What was found. */
export interface Found {
  /** How many times a node was looked at that should have had a record. */
  readonly looked: number
  /** Those who had not: `7 lacks 3 of round 5`. */
  readonly lacking: ReadonlyArray<string>
  readonly moved: number
  readonly restarted: number
}

interface Running {
  readonly source: Source
  readonly scope: Scope.Closeable
  /** The round in which it has started. */
  readonly since: number
}

/** Each signature is verified once, and not again by each of the nodes. */
const verifyingOnce = (): Primitives["Service"] => {
  const verified = new Map<string, boolean>()
  return {
    ...primitives,
    verify: (signature, message, key) => {
      const name = Buffer.concat([signature, message, key]).toString("latin1")
      const known = verified.get(name) ?? primitives.verify(signature, message, key)
      verified.set(name, known)
      return known
    }
  }
}

/** The longest interval: a round has passed for everybody. */
const round = 37.5

/** Lets time pass, in steps that are shorter than any deadline, with turns in which what has begun comes to its end. */
const pass = (seconds: number) =>
  Effect.repeat(Effect.andThen(TestClock.adjust("1500 millis"), Effect.repeat(turn, { times: 12 })), {
    times: seconds / 1.5 - 1
  })

const sequenceIn = (bytes: Uint8Array): number =>
  Number(new DataView(bytes.buffer, bytes.byteOffset, bytes.length).getBigUint64(65))

export const simulate = ({ changes, churn, degree, nodes, seed }: Plan): Effect.Effect<Found> =>
  Effect.gen(function* () {
    const random = numbers(seed)
    const lists = graph(nodes, degree, random)
    const whole = yield* Effect.scope
    const running = new Map<number, Running>()
    const places = lists.map((_, who) => `memory:${who}~noauth`)
    const published: Array<{ readonly who: number; readonly sequence: number; readonly at: number }> = []
    const lastOf = new Map<number, number>()
    let [moved, restarted, looked, now] = [0, 0, 0, 0]
    const lacking: Array<string> = []
    const bound = roundsFor(nodes)

    const start = Effect.fnUntraced(function* (who: number) {
      const scope = yield* Scope.fork(whole)
      const source = yield* Gossip.source({
        listen: places[who] ?? "",
        peers: (lists[who] ?? []).map((peer) => places[peer] ?? "")
      }).pipe(
        Effect.provideService(Identity, pairOf(who)),
        Scope.provide(scope),
        Effect.orDie,
        Random.withSeed(`${seed} ${who} ${now}`)
      )
      running.set(who, { source, scope, since: now })
    })

    const publish = Effect.fnUntraced(function* (who: number) {
      const sequence = (lastOf.get(who) ?? 0) + 1
      const millis = yield* Clock.currentTimeMillis
      const record: AddressRecord = recordOf(who, sequence, { expires: Math.floor(millis / 1000) + 7200 })
      lastOf.set(who, sequence)
      published.push({ who, sequence, at: now })
      const given = running.get(who)?.source.publish?.(record) ?? Effect.void
      yield* Effect.forkIn(Effect.ignore(given), running.get(who)?.scope ?? whole, { startImmediately: true })
    })

    /** Each node that has been up for as many rounds as a record of that age needs has it. */
    const look = Effect.gen(function* () {
      for (const { at, sequence, who } of published) {
        if (at + bound !== now) continue
        for (const [node, { since, source }] of running) {
          if (since > at) continue
          looked++
          const offers = yield* Stream.runCollect(source.find(pairOf(who).publicKey)).pipe(
            Effect.orElseSucceed(() => [])
          )
          const has = offers.some((offer) => offer._tag === "Signed" && sequenceIn(offer.bytes) >= sequence)
          if (!has) lacking.push(`${node} lacks ${sequence} of ${who}, published in round ${at}`)
        }
      }
    })

    /** Some up nodes, but for those who have published of late. */
    const some = (count: number, from: ReadonlyArray<number>): ReadonlyArray<number> => {
      const left = [...from]
      return Array.from({ length: Math.min(count, left.length) }, () =>
        left.splice(Math.floor(random() * left.length), 1)
      ).flat()
    }

    for (let who = 0; who < nodes; who++) yield* start(who)
    for (let who = 0; who < nodes; who += 3) yield* publish(who)
    const down = new Map<number, number>()
    for (now = 0; now <= churn + bound; now++) {
      yield* look
      if (now < churn) {
        const busy = new Set(published.filter(({ at }) => at > 0 && at + bound > now).map(({ who }) => who))
        for (const who of some(
          changes,
          [...running.keys()].filter((each) => !busy.has(each))
        )) {
          const { scope } = running.get(who) ?? {}
          running.delete(who)
          if (scope !== undefined) yield* Effect.forkIn(Scope.close(scope, Exit.void), whole)
          down.set(who, now + 1 + Math.floor(random() * 3))
        }
        for (const who of some(changes, [...running.keys()])) yield* publish(who)
      }
      for (const [who, back] of down) {
        if (back > now) continue
        down.delete(who)
        restarted++
        if (random() < 0.5) {
          moved++
          places[who] = `memory:${who}-${now}~noauth`
        }
        yield* start(who)
        yield* publish(who)
      }
      yield* pass(round)
    }
    return { looked, lacking, moved, restarted }
  }).pipe(
    Effect.scoped,
    Effect.provide(
      Multiserver.layer(["memory~noauth"]).pipe(
        Layer.provide([Memory.layer(), Noauth.layer()]),
        Layer.provide(Limits.layer({ grace: "1 milli" }))
      )
    ),
    Effect.provideService(Primitives, verifyingOnce())
  )
