/** docs/lookup-tracker.md: its program, with real peers, and its code. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schedule from "effect/Schedule"
import * as Example from "../../examples/tracker.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Tracker from "../../src/Tracker.ts"
import { readAll } from "../support/servers.ts"
import { block, blocksOf, shown } from "./page.ts"

const page = "docs/lookup-tracker.md"

/** A program with an identity of its own. */
const somebody = Layer.fresh(
  Multiserver.layer(["net~shs"]).pipe(
    Layer.provide([Net.layer(), Shs.layer()]),
    Layer.provideMerge(Layer.fresh(Identity.layerEphemeral)),
    Layer.provideMerge(Sodium.layer)
  )
)

describe(page, () => {
  it("shows examples/tracker.ts", () => {
    for (const { language, name, text } of blocksOf(page)) if (language === "ts") assert.strictEqual(text, shown(name))
    assert.include(block(page, "tracker"), "multiserver tracker ")
  })

  it.live("a peer that has published is dialed by its key", () =>
    Effect.gen(function* () {
      const server = yield* Layer.build(Example.layerServer("net:127.0.0.1:0~shs").pipe(Layer.provide(somebody)))
      const tracker = Context.get(server, Tracker.Tracker).addresses()
      const peer = Effect.map(
        Layer.build(Layer.fresh(Example.layerPeers(tracker, { dial: {} })).pipe(Layer.provideMerge(somebody))),
        (context) => ({
          key: Context.get(context, Identity.Identity).publicKey,
          as: Effect.provideContext(context)
        })
      )
      const [alice, bob] = [yield* peer, yield* peer]
      yield* Effect.forkScoped(alice.as(Example.greet("net:127.0.0.1:0~shs", { scope: "device" })))
      const connection = yield* Effect.retry(bob.as(Example.dial(alice.key)), Schedule.spaced("20 millis"))
      assert.strictEqual(new TextDecoder().decode(yield* readAll(connection)), "hello")
    })
  )
})
