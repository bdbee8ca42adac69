/** A tracker over real sockets: `net~shs` and `ws~noise`. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Tracker from "../../src/Tracker.ts"
import { echo, served } from "../support/servers.ts"
import { callsOf, lookupBy, people } from "./support.ts"

describe.each(["net:127.0.0.1:0~shs", "ws://127.0.0.1:0~noise"])("a tracker on %s", (target) => {
  it.live("leads to a peer, and to its new address within one publication after it has moved", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const [server, alice, bob] = [yield* somebody, yield* somebody, yield* somebody]
      const tracker = yield* Layer.build(Tracker.layer(target).pipe(Layer.provide(server.layer)))
      const at = Context.get(tracker, Tracker.Tracker).addresses()
      const [ofAlice, ofBob] = [yield* lookupBy(alice, { at }), yield* lookupBy(bob, { at })]
      /** The newest record is the last that is found: the known one comes before it. */
      const reached = Effect.gen(function* () {
        const records = yield* Stream.runCollect(ofBob.find(alice.pair.publicKey))
        const { peer } = yield* bob.as(Multiserver.dial(records.at(-1)?.addresses ?? []))
        return peer._tag === "Authenticated" ? peer.publicKey : undefined
      })
      for (let moves = 0; moves < 3; moves++) {
        yield* Effect.scoped(
          Effect.gen(function* () {
            yield* ofAlice.publish(yield* alice.as(served(target, echo)))
            assert.deepStrictEqual(yield* reached, alice.pair.publicKey)
          })
        )
      }
    })
  )

  it.live("counts the calls of all keys behind one IP", () =>
    Effect.gen(function* () {
      const somebody = yield* people
      const server = yield* somebody
      const rare = { finds: { burst: 2, every: "1 hour" } } as const
      const tracker = yield* Layer.build(
        Tracker.layer(target, rare).pipe(
          Layer.provide(server.layer),
          Layer.provide(Limits.layer({ exemptLoopback: false }))
        )
      )
      const at = Context.get(tracker, Tracker.Tracker).addresses()
      const tags: Array<string> = []
      for (let i = 0; i < 4; i++) {
        const own = yield* somebody
        const { Find } = yield* callsOf(own, at)
        const answer = yield* Effect.result(Find({ key: own.pair.publicKey }))
        const error = answer._tag === "Failure" ? answer.failure : undefined
        tags.push(error instanceof Tracker.TrackerError ? error.reason._tag : answer._tag)
      }
      assert.deepStrictEqual(tags, ["Success", "Success", "TooOften", "TooOften"])
    })
  )
})
