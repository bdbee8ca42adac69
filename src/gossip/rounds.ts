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
  /**
   * Waits for the first peer of a round that begins from now on, or for the end of that round. It begins at once, but
   * never sooner after another than `refill`.
   */
  readonly next: Effect.Effect<Outcome>
  /** Waits for the round that goes on, or for the next one. Just after a round, gives that one's outcome. */
  readonly recent: Effect.Effect<Outcome>
}

const ended: Outcome = { reached: 0, faults: [{ _tag: "Unreachable", detail: "the scope of this gossip has closed" }] }

/** Makes the exchanges of one round. `reached` is to be run after each that was completed. */
export type Round = (reached: Effect.Effect<void>) => Effect.Effect<Outcome>

/** Those who wait for a round: some for its first peer, others for all of its peers. */
class Waiters {
  readonly first = Deferred.makeUnsafe<Outcome>()
  readonly all = Deferred.makeUnsafe<Outcome>()

  /** Resumes those who wait for the first peer, so that a peer that stalls does not hold them up. */
  readonly reached = Effect.sync(() => void Deferred.doneUnsafe(this.first, Effect.succeed({ reached: 1, faults: [] })))

  ended(outcome: Outcome): void {
    Deferred.doneUnsafe(this.first, Effect.succeed(outcome))
    Deferred.doneUnsafe(this.all, Effect.succeed(outcome))
  }
}

type State =
  | { readonly _tag: "Waiting" }
  | { readonly _tag: "Talking"; readonly waiters: Waiters }
  | { readonly _tag: "Resting"; readonly outcome: Outcome }
  | { readonly _tag: "Closed" }

/** Runs rounds as long as the scope, the first one at once. The interval varies by a quarter, so that nodes spread. */
export const make = Effect.fnUntraced(function* (round: Round, interval: Duration.Duration) {
  const wanted = yield* Queue.sliding<void>(1)
  let following = new Waiters()
  let state: State = { _tag: "Waiting" }

  const turn = Effect.gen(function* () {
    // Whoever has asked until now gets this round.
    yield* Queue.clear(wanted)
    const waiters = following
    following = new Waiters()
    state = { _tag: "Talking", waiters }
    const outcome = yield* round(waiters.reached)
    state = { _tag: "Resting", outcome }
    waiters.ended(outcome)
    yield* Effect.sleep(refill)
    state = { _tag: "Waiting" }
    const pause = Duration.toMillis(interval) * (0.75 + (yield* Random.next) / 2) - refill
    yield* Effect.timeoutOption(Queue.take(wanted), Math.max(0, pause))
  })

  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      const open = state._tag === "Talking" ? [state.waiters, following] : [following]
      state = { _tag: "Closed" }
      for (const waiters of open) waiters.ended(ended)
    })
  )
  yield* Effect.forkScoped(Effect.forever(turn, { disableYield: true }))

  const from = (which: "first" | "all"): Effect.Effect<Outcome> =>
    Effect.suspend(() => {
      if (state._tag === "Closed") return Effect.succeed(ended)
      Queue.offerUnsafe(wanted, undefined)
      return Deferred.await(following[which])
    })
  const next = from("first")
  const recent = Effect.suspend(() => {
    if (state._tag === "Talking") return Deferred.await(state.waiters.all)
    return state._tag === "Resting" ? Effect.succeed(state.outcome) : from("all")
  })
  return { next, recent }
}) satisfies (...input: never) => Effect.Effect<Rounds, never, Scope.Scope>
