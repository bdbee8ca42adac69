/** Several attempts of a dial at once: the first that succeeds wins, and nothing is left of the others. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Latch from "effect/Latch"
import * as Scope from "effect/Scope"
import * as Semaphore from "effect/Semaphore"
import { hasSecret } from "../Address.ts"
import type * as Connection from "../Connection.ts"
import type { AttemptReason } from "../DialError.ts"
import type { Environment } from "../Environment.ts"
import type { Tried } from "../Events.ts"
import { inOwnScope } from "../inOwnScope.ts"
import { attempt, type Turn } from "./attempt.ts"
import type { Candidate } from "./plan.ts"

/** The delay before the next attempt begins. Browsers wait as long between two address families. */
const stagger = "250 millis"
/** The longest that a handshake without a seed keeps the next one waiting. */
const handshakeTurn = "1 second"

/**
 * Runs all attempts at once, staggered. The first that succeeds interrupts the others. The race fails when all attempts
 * have failed; their reasons are in `failed`.
 *
 * The race has a scope of its own, and each attempt has a child of it, made before the attempt begins. If an attempt
 * succeeds at the moment when it is interrupted, what it opened is in that child, and is closed with it.
 */
export const race = (
  environment: Environment,
  candidates: ReadonlyArray<Candidate>,
  failed: Array<Tried>
): Effect.Effect<Connection.Connection, AttemptReason, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (all) => {
    const turn = takeTurns(candidates.length)
    const lanes = candidates.map((candidate) => ({
      candidate,
      gate: Latch.makeUnsafe(false),
      scope: Scope.forkUnsafe(all)
    }))
    lanes[0]?.gate.openUnsafe()
    let begun = 0
    const racers = lanes.map(({ candidate, gate, scope }, i) => {
      const next = lanes[i + 1]
      const beginNext = Effect.sync(() => next?.gate.openUnsafe())
      return Effect.gen(function* () {
        yield* gate.await
        begun = i
        yield* Effect.forkChild(Effect.delay(beginNext, stagger))
        // It is a fallback only if the next attempt has not begun already.
        const after = () => (begun === i ? next?.candidate : undefined)
        const own = attempt(environment, candidate, failed, after, turn(hasSecret(candidate.address)))
        const connection = yield* Scope.provide(own, scope)
        return { connection, scope }
      }).pipe(
        // Also needed after a defect: the fiber that would have begun the next attempt has ended with this one.
        Effect.onError(() => beginNext)
      )
    })
    return Effect.tap(Effect.raceAll(racers), (winner) =>
      // Two attempts can succeed at the same moment. The loser is closed here.
      Effect.forEach(
        lanes.filter(({ scope }) => scope !== winner.scope),
        ({ scope }) => Scope.close(scope, Exit.interrupt())
      )
    )
  }).pipe(
    Effect.map(({ connection }) => connection),
    inOwnScope,
    Effect.map(({ value }) => value)
  )

/**
 * Makes handshakes take turns. One begins when the one before it has failed, or has had one second. A handshake with a
 * seed never runs beside another, because a losing handshake could use up an invite.
 */
const takeTurns = (everybody: number) => {
  const turns = Semaphore.makeUnsafe(1)
  const handshaking = Semaphore.makeUnsafe(everybody)
  return (alone: boolean): Turn =>
    (handshake) =>
      Effect.suspend(() => {
        const mine = Latch.makeUnsafe(false)
        const over = Latch.makeUnsafe(false)
        const until = alone ? over.await : Effect.timeoutOption(over.await, handshakeTurn)
        return Effect.gen(function* () {
          yield* Effect.forkChild(turns.withPermits(1)(Effect.andThen(mine.open, until)), { startImmediately: true })
          yield* mine.await
          return yield* handshaking.withPermits(alone ? everybody : 1)(handshake)
        }).pipe(Effect.ensuring(over.open))
      })
}
