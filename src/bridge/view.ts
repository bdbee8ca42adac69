/**
 * What the views for callback APIs share: they run effects from callbacks until the scope closes, and can destroy the
 * connection.
 *
 * A callback never runs inside the connection, so that one which throws can't break the connection's state.
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as FiberSet from "effect/FiberSet"
import * as Pull from "effect/Pull"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import { format } from "../Address.ts"
import * as Connection from "../Connection.ts"
import { ConnectionError, locallyClosed } from "../ConnectionError.ts"

export interface View {
  /**
   * Reads what has arrived; `undefined` at the peer's end. When the connection was over before the scope closed, that
   * end can be read after it too.
   */
  readonly read: (done: (outcome: Result.Result<Connection.Chunks | undefined, Error>) => void) => void
  /** Runs the effect and says how it went: at once when it was done at once, otherwise on a microtask of its own. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>, done: (outcome: Result.Result<A, Error>) => void) => void
  /** Ends the connection at once, without a goodbye. */
  readonly destroy: () => void
  /**
   * Runs when the connection breaks after the peer's end was read. Before that, a read fails once everything that has
   * arrived was read.
   */
  readonly onceBroken: (run: (error: Error) => void) => void
  /** The error of everything that the end of the scope cuts off. */
  readonly closed: () => ConnectionError
  /**
   * For a finalizer: whether both sides have ended and the view has read everything. The end of the scope then cuts
   * nothing off: the view still has what the user has not taken yet.
   */
  readonly isOver: () => boolean
}

const toError = (thrown: unknown): Error => (thrown instanceof Error ? thrown : new Error(String(thrown)))

const hasEnded = (connection: Connection.Connection): boolean => {
  const closed = Effect.runFork(connection.closed)
  const exit = closed.pollUnsafe()
  if (exit === undefined) closed.interruptUnsafe()
  return exit !== undefined && Exit.isSuccess(exit) && exit.value.tag === "end"
}

export const make = (connection: Connection.Connection): Effect.Effect<View, never, Scope.Scope> =>
  Effect.gen(function* () {
    const fork = yield* FiberSet.runtime(yield* FiberSet.make())()
    const closed = () => new ConnectionError({ remote: format(connection.remote), reason: locallyClosed })
    const outcome = <A, E>(exit: Exit.Exit<A, E>): Result.Result<A, Error> => {
      if (Exit.isSuccess(exit)) return Result.succeed(exit.value)
      return Result.fail(Cause.hasInterruptsOnly(exit.cause) ? closed() : toError(Cause.squash(exit.cause)))
    }
    const run: View["run"] = (effect, done) => {
      const fiber = fork(effect)
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) done(outcome(exit))
      else fiber.addObserver((later) => queueMicrotask(() => done(outcome(later))))
    }
    // Asked once, when the scope closes. Later the connection itself is closed, whether it was over or not.
    let over: boolean | undefined
    const isOver = () => {
      over ??= hasEnded(connection)
      return over
    }
    yield* Effect.addFinalizer(() => Effect.sync(isOver))
    const read = Pull.catchDone(connection.pull, () => Effect.undefined)
    return {
      read: (done) =>
        run(read, (outcome) => done(Result.isFailure(outcome) && over === true ? Result.succeed(undefined) : outcome)),
      run,
      destroy: () => void Effect.runFork(Connection.destroy(connection)),
      onceBroken: (broken) =>
        run(Connection.broken(connection), (ended) => {
          if (Result.isFailure(ended) && over !== true) broken(ended.failure)
        }),
      closed,
      isOver
    }
  })
