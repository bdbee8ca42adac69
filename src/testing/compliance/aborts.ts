/** An interrupted dial or connection leaves nothing behind, and the other side sees no clean end. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Multiserver from "../../Multiserver.ts"
import { type Broken, type Claim, type Clause, clause, expect, soon } from "./clause.ts"
import { dial, ending, pattern, readAll, serve } from "./session.ts"

export const aborts = ({ authenticates, target }: Claim): ReadonlyArray<Clause> => {
  const abortBefore = clause(
    "does nothing before it is run, and is interrupted at once",
    Effect.gen(function* () {
      let accepted = 0
      const address = yield* serve(target, () => Effect.sync(() => void accepted++))
      const dial = Multiserver.dial(address)
      yield* Effect.sleep("20 millis")
      yield* expect(accepted === 0, "no connection before the dial is run", accepted)
      const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(dial, Effect.never)), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
    })
  )

  const abortDuring = clause(
    "is interrupted at any moment of a dial, and the listener serves the next",
    Effect.gen(function* () {
      const address = yield* serve(target, (connection) => Effect.andThen(readAll(connection), connection.end))
      for (let millis = 0; millis < 20; millis++) {
        const fiber = yield* Effect.forkChild(Effect.scoped(Effect.andThen(Multiserver.dial(address), Effect.never)))
        yield* Effect.sleep(millis / 4)
        yield* Fiber.interrupt(fiber)
      }
      const connection = yield* dial(address)
      yield* connection.end
      yield* readAll(connection)
    })
  )

  /** Expects that no clean end is seen when the other side goes without having ended. */
  const vanished = (word: string): Effect.Effect<void, Broken> => {
    const honest = ["Truncated", "Reset"]
    // A bare stream can't tell the end of a broken connection from a clean end.
    const allowed = authenticates ? honest : [...honest, "the clean end"]
    return expect(allowed.includes(word), allowed.join(" or "), word)
  }

  const abortAfter = clause(
    "tells the peer of an interrupted connection that it was no clean end",
    Effect.gen(function* () {
      const heard = yield* Deferred.make<void>()
      const seen = yield* Deferred.make<string>()
      const address = yield* serve(target, (connection) =>
        Effect.gen(function* () {
          yield* connection.pull
          yield* Deferred.succeed(heard, undefined)
          yield* Deferred.succeed(seen, yield* ending(connection.pull))
        })
      )
      const use = Effect.gen(function* () {
        const connection = yield* Multiserver.dial(address)
        yield* connection.write(pattern(10))
        yield* connection.flush
        return yield* Effect.never
      })
      const fiber = yield* Effect.forkChild(Effect.scoped(use))
      yield* soon("10 bytes to arrive", Deferred.await(heard))
      yield* Fiber.interrupt(fiber)
      yield* vanished(yield* soon("the peer to see that it was interrupted", Deferred.await(seen)))
    })
  )

  const peerFails = clause(
    "delivers what had arrived before it tells that the peer is gone, and fails writes",
    Effect.gen(function* () {
      // Not before the dial has succeeded: a reset during the connect is an error of the dial.
      const address = yield* serve(target, (connection) =>
        Effect.andThen(connection.pull, connection.write(pattern(1000))).pipe(
          Effect.andThen(connection.flush),
          Effect.andThen(Effect.interrupt)
        )
      )
      const connection = yield* dial(address)
      yield* connection.write(pattern(1))
      yield* Effect.sleep("50 millis")
      let received = 0
      const word = yield* ending(
        connection.pull.pipe(
          Effect.map((chunks) => {
            for (const chunk of chunks) received += chunk.length
          }),
          Effect.forever({ disableYield: true })
        )
      )
      yield* expect(received === 1000, "1000 bytes", received)
      yield* vanished(word)
      const writes = Effect.forever(Effect.andThen(connection.write(pattern(1000)), Effect.sleep(1)))
      yield* soon("a write to a peer that is gone to fail", ending(writes), () => "writes that succeed")
    })
  )

  return [abortBefore, abortDuring, abortAfter, peerFails]
}
