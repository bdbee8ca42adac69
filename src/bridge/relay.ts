/**
 * Two connections joined to one: what arrives at either leaves by the other, no faster than that one takes it, and the
 * end of one side's sending is the end of the other's.
 *
 * Whatever breaks one of them destroys both, without a goodbye: to each, what was truncated on the way looks truncated.
 * Only a `unix` connection without keys can't show that: its end is the same however it comes.
 */
import * as Effect from "effect/Effect"
import * as Latch from "effect/Latch"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"

/** One direction. */
interface Direction {
  /** Until its end has been passed on. When `from` drains, what was cut off from `to` is the value. */
  readonly forwarded: Effect.Effect<ConnectionError | undefined, ConnectionError>
  /** Fails when `from` breaks after its end, of which nobody would hear who only reads. */
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
 * Relays until both have ended. A side without a half close ends as a whole when the other one has.
 *
 * When a listener that `a` is of drains, nothing more is taken from `a`, and what `b` sends goes on. Once that has
 * ended the relay fails with what draining made of `a`, as a handler may, and `b`, which has not heard all, is
 * destroyed.
 */
export const relay = (a: Connection.Connection, b: Connection.Connection): Effect.Effect<void, ConnectionError> =>
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
