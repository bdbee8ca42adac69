/** What a listener does with its connections, and when it is done. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { isDraining } from "../ConnectionError.ts"
import type * as Listener from "../Listener.ts"

export interface Serving<E, R> {
  readonly handler: Listener.Handler<E, R>
  readonly mayConnect: () => boolean
  /** Whether it serves many connections at once. */
  readonly isMany: boolean
  /** Completes as the handler of the only connection does. Never completes where there are many. */
  readonly outcome: Effect.Effect<void, E>
}

/**
 * Interrupts a handler that fails, so that its connection ends without a goodbye: not everything was sent. A handler
 * that fails because the listener drains is left alone.
 */
const withoutGoodbye = <E, R>(handler: Listener.Handler<E, R>): Listener.Handler<E, R> => {
  const broken = (error: E): boolean => !isDraining(error)
  return (connection) => Effect.catchIf(handler(connection), broken, () => Effect.interrupt)
}

export const many = <E, R>(handler: Listener.Handler<E, R>): Serving<E, R> => ({
  handler: withoutGoodbye(handler),
  mayConnect: () => true,
  isMany: true,
  outcome: Effect.never
})

/** Serves the first connection that completes its handshakes, and no other. */
export const once = <E, R>(handler: Listener.Handler<E, R>): Serving<E, R> => {
  const outcome = Deferred.makeUnsafe<void, E>()
  let taken = false
  return {
    handler: withoutGoodbye((connection) =>
      Effect.suspend(() => {
        if (taken) return Effect.interrupt
        taken = true
        return Effect.onExit(Effect.asVoid(handler(connection)), (exit) => Deferred.done(outcome, exit))
      })
    ),
    mayConnect: () => !taken,
    isMany: false,
    outcome: Deferred.await(outcome)
  }
}
