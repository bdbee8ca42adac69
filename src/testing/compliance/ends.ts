/** How a side ends, and what it can still do afterwards. */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type { ConnectionError } from "../../ConnectionError.ts"
import { type Broken, type Claim, type Clause, clause, expect, expectBytes, soon } from "./clause.ts"
import { dial, ending, expectRead, pair, pattern, readAll, serve } from "./session.ts"

export const ends = ({ halfClose, target }: Claim): ReadonlyArray<Clause> => {
  const goesOn = (who: "dialer" | "listener") =>
    clause(
      `lets the ${who} go on reading after its own end`,
      Effect.gen(function* () {
        const [near, far] = yield* pair(target)
        const [first, second] = who === "dialer" ? [near, far] : [far, near]
        yield* expect(first.halfClose, "a half close", "none")
        yield* Effect.forkChild(Effect.andThen(first.write(pattern(10)), first.end))
        yield* expectRead(second, pattern(10))
        yield* Effect.forkChild(Effect.andThen(second.write(pattern(200_000)), second.end))
        yield* expectRead(first, pattern(200_000))
      })
    )
  const ownEnd = halfClose
    ? [goesOn("dialer"), goesOn("listener")]
    : [
        clause(
          "says that it has no half close, and delivers what was sent before the peer's end",
          Effect.gen(function* () {
            const [near, far] = yield* pair(target)
            yield* expect(!near.halfClose && !far.halfClose, "no half close", "one")
            yield* near.write(pattern(1000))
            yield* near.end
            yield* expectRead(far, pattern(1000))
          })
        )
      ]

  const afterEnd = clause(
    "fails a write after its own end, and ends once however often it is asked",
    Effect.gen(function* () {
      const [near, far] = yield* pair(target)
      yield* near.end
      yield* near.end
      const late = yield* ending(near.write(pattern(1)))
      yield* expect(late === "LocallyClosed", "LocallyClosed", late)
      yield* expectRead(far, new Uint8Array(0))
    })
  )

  const leaves = clause(
    "says goodbye when its scope closes after success, behind everything that was written",
    Effect.gen(function* () {
      const received = yield* Deferred.make<Uint8Array, ConnectionError | Broken>()
      const address = yield* serve(target, (connection) => Deferred.into(readAll(connection), received))
      yield* Effect.scoped(Effect.flatMap(dial(address), (connection) => connection.write(pattern(100_000))))
      const read = yield* soon("100000 bytes and a goodbye from the side that has left", Deferred.await(received))
      yield* expectBytes(read, pattern(100_000))
    })
  )

  return [...ownEnd, afterEnd, leaves]
}
