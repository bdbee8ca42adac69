/** What a listener does with its connections, and when it is done. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import { isDraining } from "../ConnectionError.ts"
import type * as Listener from "../Listener.ts"

export interface Serving<E, R> {
  readonly handler: Listener.Handler<E, R>
  readonly mayConnect: () => boolean
  /** How the one connection went; never, when there are many. */
  readonly outcome: Effect.Effect<void, E>
}

/** Not all was said, so no goodbye is. */
const withoutGoodbye = <E, R>(handler: Listener.Handler<E, R>): Listener.Handler<E, R> => {
  const broken = (error: E): boolean => !isDraining(error)
  return (connection) => Effect.catchIf(handler(connection), broken, () => Effect.interrupt)
}

export const many = <E, R>(handler: Listener.Handler<E, R>): Serving<E, R> => ({
  handler: withoutGoodbye(handler),
  mayConnect: () => true,
  outcome: Effect.never
})

/** The first connection that is handshaken, and no other. */
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
    outcome: Deferred.await(outcome)
  }
}
