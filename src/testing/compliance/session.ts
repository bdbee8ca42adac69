/** Both ends of a connection in one test, and what is done with them. */
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Address } from "../../Address.ts"
import type { Connection } from "../../Connection.ts"
import type { ConnectionError } from "../../ConnectionError.ts"
import * as Multiserver from "../../Multiserver.ts"
import { expect } from "./clause.ts"

/** Bytes that can be made again, each one telling where it stands. */
export const pattern = (length: number, seed = 1): Uint8Array => {
  const out = new Uint8Array(length)
  let state = seed
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    out[i] = state >>> 24
  }
  return out
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

/** Everything until the clean end. */
export const readAll = (connection: Connection): Effect.Effect<Uint8Array, ConnectionError> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    return connection.pull.pipe(
      Effect.map((batch) => {
        chunks.push(...batch)
      }),
      Effect.forever({ disableYield: true }),
      Effect.catchIf(Cause.isDone, () => Effect.sync(() => join(chunks)))
    )
  })

/** How a pull or write ends, as a word. */
export const ending = (effect: Effect.Effect<unknown, ConnectionError | Cause.Done>): Effect.Effect<string> =>
  Effect.match(effect, {
    onSuccess: () => "success",
    onFailure: (error) => (Cause.isDone(error) ? "the clean end" : error.reason._tag)
  })

/** Both ends of one connection; the listener's stays open as long as the scope. */
export const pair = (target: string) =>
  Effect.gen(function* () {
    const accepted = yield* Deferred.make<Connection>()
    const address = yield* serve(target, (connection) =>
      Effect.andThen(Deferred.succeed(accepted, connection), Effect.never)
    )
    const near = yield* Multiserver.dial(address)
    return [near, yield* Deferred.await(accepted)] as const
  })

export const serve = <E>(target: string, handler: (connection: Connection) => Effect.Effect<unknown, E, Scope.Scope>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen(target)
    yield* Effect.forkScoped(listener.run(handler))
    const [address] = listener.addresses()
    return address === undefined ? yield* expect(false, "an address to dial", "none") : address
  }).pipe(Effect.map((address) => address as Address))
