/** docs/browser.md: its code. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import { hear } from "../../examples/again.ts"
import * as Connection from "../../src/Connection.ts"
import { multiserver, served } from "../support/servers.ts"
import { block, shown } from "./page.ts"

const page = "docs/browser.md"

describe(page, () => {
  it.live("shows a page that connects again after a break, and after a goodbye", () =>
    Effect.gen(function* () {
      assert.strictEqual(block(page, "examples/again.ts"), shown("examples/again.ts"))
      let count = 0
      const addresses = yield* served("memory:again", (connection) =>
        Effect.gen(function* () {
          yield* connection.write(new TextEncoder().encode(String(++count)))
          // The first one breaks, the second one says goodbye, and the third stays.
          if (count === 1) yield* Effect.andThen(Effect.sleep("100 millis"), Connection.destroy(connection))
          else if (count === 3) yield* Effect.never
        })
      )
      const heard = yield* Queue.unbounded<string>()
      yield* Effect.forkScoped(hear(addresses.join(";"), (text) => Effect.asVoid(Queue.offer(heard, text))))
      assert.deepStrictEqual(yield* Queue.takeN(heard, 3), ["1", "2", "3"])
    }).pipe(Effect.scoped, Effect.provide(multiserver()))
  )
})
