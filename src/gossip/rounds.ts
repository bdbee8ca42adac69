/** When the rounds of a gossip take place: in an interval, and when somebody wants one. */
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import type { Fault } from "./fault.ts"
import { refill } from "./peers.ts"

/** How a round went. */
export interface Outcome {
  /** With how many peers the exchange was completed. */
  readonly reached: number
  readonly faults: ReadonlyArray<Fault>
}

export interface Rounds {
  /** Waits for a round that begins from now on. It begins at once, but never sooner after another than `refill`. */
  readonly next: Effect.Effect<Outcome>
  /** Waits for the round that goes on, or for the next one. Just after a round, gives that one's outcome. */
  readonly recent: Effect.Effect<Outcome>
}

const ended: Outcome = { reached: 0, faults: [{ _tag: "Unreachable", detail: "the scope of this gossip has closed" }] }

type State =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Talking"; readonly outcome: Deferred.Deferred<Outcome> }
  | { readonly _tag: "Resting"; readonly outcome: Outcome }
  | { readonly _tag: "Closed" }

/** Runs rounds as long as the scope, the first one at once. The interval varies by a quarter, so that nodes spread. */
export const make = Effect.fnUntraced(function* (round: Effect.Effect<Outcome>, interval: Duration.Duration) {
  const wanted = yield* Queue.sliding<void>(1)
  let following = Deferred.makeUnsafe<Outcome>()
  let state: State = { _tag: "Waiting" }

  const turn = Effect.gen(function* () {
    // Whoever has asked until now gets this round.
    yield* Queue.clear(wanted)
    const outcome = following
    following = Deferred.makeUnsafe()
    state = { _tag: "Talking", outcome }
    const result = yield* round
    state = { _tag: "Resting", outcome: result }
    yield* Deferred.succeed(outcome, result)
    yield* Effect.sleep(refill)
    state = { _tag: "Waiting" }
    const pause = Duration.toMillis(interval) * (0.75 + (yield* Random.next) / 2) - refill
    yield* Effect.timeoutOption(Queue.take(wanted), Math.max(0, pause))
  })

  yield* Effect.addFinalizer(() =>
    Effect.suspend(() => {
      const open = state._tag === "Talking" ? [state.outcome, following] : [following]
      state = { _tag: "Closed" }
      return Effect.forEach(open, (each) => Deferred.succeed(each, ended), { discard: true })
    })
  )
  yield* Effect.forkScoped(Effect.forever(turn, { disableYield: true }))

  const next = Effect.suspend(() => {
    if (state._tag === "Closed") return Effect.succeed(ended)
    Queue.offerUnsafe(wanted, undefined)
    return Deferred.await(following)
  })
  const recent = Effect.suspend(() => {
    if (state._tag === "Talking") return Deferred.await(state.outcome)
    return state._tag === "Resting" ? Effect.succeed(state.outcome) : next
  })
  return { next, recent }
}) satisfies (...input: never) => Effect.Effect<Rounds, never, Scope.Scope>
