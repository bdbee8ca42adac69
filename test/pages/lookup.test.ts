/** docs/lookup.md: what it shows works. */
import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Identity, Lookup } from "effect-multiserver/node"
import { ask, live, serve } from "../../examples/lookup.ts"

it.live("a peer that has said where it is answers whoever dials its key", () =>
  Effect.gen(function* () {
    const board = yield* Lookup.makeBoard()
    const peer = yield* Layer.build(live(board))
    yield* Effect.provide(serve, peer)
    const { publicKey } = yield* Effect.provide(Identity.Identity, peer)
    // The peer publishes as soon as it listens, which takes a moment.
    const answer = ask(Identity.formatPublicKey(publicKey), "hello").pipe(
      Effect.retry({ while: (error) => error._tag === "DialError" && error.reason._tag === "Other" }),
      Effect.provide(live(board))
    )
    assert.strictEqual(yield* answer, "hello")
  })
)
