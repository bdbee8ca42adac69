/**
 * Two connections joined to one: what arrives at either leaves by the other, no faster than that one takes it, and the end of
 * one side's sending is the end of the other's.
 *
 * Whatever breaks one of them destroys both, without a goodbye: to each, what was truncated on the way looks truncated.
 */
import * as Effect from "effect/Effect"
import * as Connection from "../Connection.ts"
import { type ConnectionError, isDraining } from "../ConnectionError.ts"
import { destroy } from "../internal/view.ts"

/** One direction, until its end has been passed on. When `from` drains, what was cut off from `to` is the value. */
const forward = (
  from: Connection.Connection,
  to: Connection.Connection
): Effect.Effect<ConnectionError | undefined, ConnectionError> =>
  Connection.forward(from, to).pipe(
    Effect.flatMap(() => Effect.as(to.end, undefined)),
    Effect.catchIf(isDraining, Effect.succeed)
  )

/**
 * Relays until both have ended. A side without a half close ends as a whole when the other one has.
 *
 * When a listener that `a` is of drains, nothing more is taken from `a`, and what `b` sends goes on. Once that has ended the relay
 * fails with what draining made of `a`, as a handler may, and `b`, which has not heard all, is destroyed.
 */
export const relay = (a: Connection.Connection, b: Connection.Connection): Effect.Effect<void, ConnectionError> =>
  Effect.all([forward(a, b), forward(b, a)], { concurrency: "unbounded" }).pipe(
    Effect.onError(() => Effect.andThen(destroy(a), destroy(b))),
    Effect.flatMap(([ofA, ofB]) =>
      Effect.gen(function* () {
        if (ofA !== undefined) yield* destroy(b)
        if (ofB !== undefined) yield* destroy(a)
        const drained = ofA ?? ofB
        if (drained !== undefined) return yield* drained
      })
    )
  )
