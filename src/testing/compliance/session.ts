/** Helpers for checks: both ends of a connection, what is written, and what is read. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../../Address.ts"
import type { Connection } from "../../Connection.ts"
import type { ConnectionError } from "../../ConnectionError.ts"
import * as Multiserver from "../../Multiserver.ts"
import { type Broken, broken, expectBytes, soon } from "./clause.ts"

/**
 * Reproducible bytes without a short period, so that lost, doubled and misplaced bytes show. Checks make many millions
 * of them, so each step makes four. A seed of 0 would give zeros.
 */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const words = new Uint32Array(Math.ceil(length / 4))
  let state = seed
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    words[i] = state
  }
  return new Uint8Array(words.buffer).slice(0, length)
}

export const join = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  const out = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0))
  let at = 0
  for (const chunk of chunks) {
    out.set(chunk, at)
    at += chunk.length
  }
  return out
}

/** Reads everything until the clean end. `expected` is for the error when that does not come in time. */
export const readAll = (
  connection: Connection,
  expected = "a clean end"
): Effect.Effect<Uint8Array, ConnectionError | Broken> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let received = 0
    const read = connection.pull.pipe(
      Effect.map((batch) => {
        for (const chunk of batch) {
          chunks.push(chunk)
          received += chunk.length
        }
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.sync(() => join(chunks)))
    )
    return soon(expected, read, () => `${received} bytes and no end`)
  })

/** Reads until the clean end, and expects exactly these bytes. */
export const expectRead = (
  connection: Connection,
  expected: Uint8Array
): Effect.Effect<void, ConnectionError | Broken> =>
  Effect.flatMap(readAll(connection, `${expected.length} bytes and a clean end`), (actual) =>
    expectBytes(actual, expected)
  )

/** How a pull or write ends, as a word: `success`, `the clean end`, or the tag of the error's reason. */
export const ending = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string, Broken> =>
  soon(
    "a pull or a write to end",
    Effect.match(effect, {
      onSuccess: () => "success",
      onFailure: (error) => (Cause.isDone(error) ? "the clean end" : error.reason._tag)
    })
  )

export const dial = (address: Address) => soon("a dial to connect", Multiserver.dial(address))

/** Both ends of one connection; the listener's stays open as long as the scope. */
export const pair = (target: string) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<Connection>()
    const address = yield* serve(target, (connection) =>
      Effect.andThen(Deferred.succeed(accepted, connection), Effect.never)
    )
    const near = yield* dial(address)
    return [near, yield* soon("a connection that is dialed to be accepted", Deferred.await(accepted))] as const
  })

export const serve = <E>(target: string, handler: (connection: Connection) => Effect.Effect<unknown, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const listener = yield* soon("a listener to be bound", Multiserver.listen(target))
    yield* Effect.forkScoped(listener.run(handler))
    const [address] = listener.addresses()
    return address ?? (yield* broken("an address to dial", "none"))
  })
