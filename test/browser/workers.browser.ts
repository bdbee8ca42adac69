/** A page and its worker, in a real browser: noise over `port`, and a connection of the worker's for the page. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import type { Chunks } from "./clients/worker.ts"
import { isMissing } from "./support/browsers.ts"
import { connecting, join } from "./support/page.ts"
import { expected, listening, MiB, sending } from "./support/peers.ts"

describe.skipIf(isMissing("Chromium", "a page's worker"))("a page and its worker", () => {
  const tab = connecting("Chromium")

  it.live("exchange 4 MiB over port~noise, and the page knows the worker's key", () =>
    Effect.gen(function* () {
      const { call } = yield* tab
      const { peer, received } = yield* call("throughWorker", 4 * MiB)
      assert.strictEqual(peer, "Authenticated")
      assert.deepStrictEqual(received, expected(4 * MiB))
    })
  )

  it.live.each([
    // What is decrypted lies in larger buffers, and is copied once.
    ["ws~shs", 0],
    ["ws", 0.5]
  ] as const)("share the worker's connection over %s, whose chunks it hands on", ([stack, least]) =>
    Effect.gen(function* () {
      const { call } = yield* tab
      const address = yield* listening(stack, sending(4 * MiB))
      assert.deepStrictEqual(yield* call("fromWorker", address), expected(4 * MiB))
      const { handed, moved } = (yield* call("ask", "chunks")) as Chunks
      assert.isAtLeast(moved, least * handed)
    })
  )

  it.live("get rid of a connection whose worker was terminated, which nothing tells the page", () =>
    Effect.gen(function* () {
      const own = yield* tab
      yield* own.call("start", "terminate")
      const closed = { tag: "LocallyClosed", isRetryable: false }
      assert.deepStrictEqual(yield* join(own, "terminate"), { ends: [closed, closed], closed: "LocallyClosed" })
    })
  )
})
