/**
 * Joins two connections. What arrives at one leaves by the other, no faster than the other takes it. When one peer ends
 * its sending, so does the relay to the other peer.
 *
 * When one connection breaks, both are destroyed without a goodbye, so that each peer sees a truncated stream as
 * truncated. A `unix` connection without keys can't show the difference: it ends the same way in both cases.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"

/** One direction. */
interface Direction {
  /** Succeeds once the end of `from` was passed on. The value is the error of `from` when its listener drains. */
  readonly forwarded: Effect.Effect<ConnectionError | undefined, ConnectionError>
  /** Fails when `from` breaks after its end, which a read no longer tells. */
  readonly brokenAfterEnd: Effect.Effect<never, ConnectionError>
}

const direction = (from: Connection.Connection, to: Connection.Connection): Direction => {
  const ended = Latch.makeUnsafe(false)
  return {
    forwarded: Connection.forward(from, to).pipe(
      Effect.flatMap(() => Effect.as(Effect.andThen(ended.open, to.end), undefined)),
      Effect.catchIf(isDraining, Effect.succeed)
    ),
    brokenAfterEnd: Effect.andThen(ended.await, Connection.broken(from))
  }
}

/**
 * Relays between two connections until both peers have ended. A connection without a half close ends as a whole when
 * the other peer ends.
 *
 * When the listener of `a` drains, the relay reads nothing more from `a`, and passes on what `b` still sends. When `b`
 * has ended, the relay fails with the error of `a` that says so, and destroys `b`, whose peer has not got everything.
 * The same holds with `a` and `b` exchanged.
 *
 * @category combinators
 * @since 0.1.0
 */
export const between = (a: Connection.Connection, b: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  Effect.suspend(() => {
    const ofA = direction(a, b)
    const ofB = direction(b, a)
    const both = Effect.all([ofA.forwarded, ofB.forwarded], { concurrency: "unbounded" })
    const broken = Effect.raceFirst(ofA.brokenAfterEnd, ofB.brokenAfterEnd)
    return Effect.raceFirst(both, broken).pipe(
      Effect.onError(() => Effect.andThen(Connection.destroy(a), Connection.destroy(b))),
      Effect.flatMap(([drainedA, drainedB]) =>
        Effect.gen(function* () {
          if (drainedA !== undefined) yield* Connection.destroy(b)
          if (drainedB !== undefined) yield* Connection.destroy(a)
          const drained = drainedA ?? drainedB
          if (drained !== undefined) return yield* drained
        })
      )
    )
  })
