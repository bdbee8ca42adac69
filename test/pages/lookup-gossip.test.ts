/** docs/lookup-gossip.md: its code, with three programs that find each other. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Gossip from "../../examples/gossip.ts"
import * as GossipModule from "../../src/Gossip.ts"
import * as Wire from "../../src/gossip/wire.ts"
import * as Identity from "../../src/Identity.ts"
import { pairOf } from "../gossip/support.ts"
import { freeAddresses, readAll } from "../support/servers.ts"
import { blocksOf, read, shown } from "./page.ts"

const page = "docs/lookup-gossip.md"

describe(page, () => {
  it("shows the example", () => {
    const blocks = blocksOf(page).filter(({ language }) => language === "ts")
    assert.deepStrictEqual(
      blocks.map(({ name }) => name),
      ["examples/gossip.ts#gossip", "examples/gossip.ts#use"]
    )
    for (const { name, text } of blocks) assert.strictEqual(text, shown(name), name)
  })

  it("names the limits as they are", () => {
    const text = read(page)
    assert.include(text, `at most ${GossipModule.maxPeers} |`)
    assert.include(text, `${Wire.maxFrame.toLocaleString("en-US")} bytes`)
    assert.include(text, `| ${Wire.maxEntries.toLocaleString("en-US")} | 24 kB`)
    assert.include(text, `| ${Wire.maxRecords} | 256 kB`)
  })

  it.live("three programs find each other by their keys", () =>
    Effect.gen(function* () {
      const pairs = [pairOf(1), pairOf(2), pairOf(3)]
      const places = yield* freeAddresses(pairs.length)
      const keys = pairs.map(({ publicKey }) => Identity.formatPublicKey(publicKey))
      const peers = places.map((place, i) => `${place}~noise:${keys[i]}`)
      const members = yield* Effect.forEach(pairs, (pair, i) =>
        Layer.build(
          Gossip.gossip({ listen: `${places[i]}~noise`, peers, keys }, { dial: {} }).pipe(
            Layer.provideMerge(Layer.succeed(Identity.Identity, pair)),
            Layer.fresh
          )
        )
      )
      for (const [i, context] of members.entries()) {
        yield* Effect.provideContext(Gossip.greet("net:127.0.0.1:0~noise"), context)
        for (const other of members) {
          if (other === context) continue
          const connection = yield* Effect.provideContext(Gossip.dial(pairOf(i + 1).publicKey), other)
          assert.strictEqual(new TextDecoder().decode(yield* readAll(connection)), "hello")
        }
      }
    })
  )
})
