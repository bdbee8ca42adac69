/** The identity of a page, in a real browser. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { Page } from "puppeteer-core"
import * as Identity from "../../src/Identity.ts"
import { primitives } from "../support/primitives.ts"
import { isMissing } from "./support/browsers.ts"
import { opened, shared } from "./support/page.ts"

describe.skipIf(isMissing("Chromium", "the identity of a page"))("the identity of a page", () => {
  const open = Effect.flatMap(shared("Chromium"), (browser) => opened(browser, "identity"))

  const run = (page: Page, script: string) => Effect.promise(() => page.evaluate(script))
  const own = (page: Page, options = "{}") => Effect.map(run(page, `own(${options})`), String)
  const keyOf = (file: string) =>
    Effect.map(Identity.parseSecretFile("page", file), (pair) => {
      const again = Identity.fromSeed(primitives, Redacted.make(Redacted.value(pair.secretKey).slice(0, 32)))
      assert.deepStrictEqual(again.publicKey, pair.publicKey)
      return Identity.formatPublicKey(pair.publicKey)
    })
  const ownKey = (page: Page, options?: string) => Effect.flatMap(own(page, options), keyOf)

  it.live("is made once for all tabs, stays when the page is loaded again, and is exported as SSB's secret file", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* open, yield* open]
      const [key, same] = yield* Effect.all([ownKey(first), ownKey(second)], { concurrency: 2 })
      assert.strictEqual(same, key)
      yield* Effect.promise(() => first.reload())
      assert.strictEqual(yield* ownKey(first), key)
      const other = yield* ownKey(first, '{ name: "other" }')
      assert.notStrictEqual(other, key)
      assert.strictEqual(yield* ownKey(second, '{ name: "other" }'), other)
    })
  )

  it.live("is a typed error where there is no IndexedDB, and where something else is stored", () =>
    Effect.gen(function* () {
      const page = yield* open
      yield* run(
        page,
        `new Promise((resolve) => {
          const opening = indexedDB.open("spoiled", 1)
          opening.onupgradeneeded = () =>
            opening.result.createObjectStore("identities").add(new Uint8Array(64), "default")
          opening.onsuccess = () => (opening.result.close(), resolve())
        })`
      )
      assert.match(yield* own(page, '{ database: "spoiled" }'), /default in IndexedDB spoiled: not a secret key/)
      yield* run(page, `new Promise((resolve) => (indexedDB.open("foreign", 7).onsuccess = resolve))`)
      assert.match(yield* own(page, '{ database: "foreign" }'), /IndexedDB: .*version/)
      yield* run(page, `Object.defineProperty(globalThis, "indexedDB", { value: undefined })`)
      assert.match(yield* own(page), /^identity default in IndexedDB effect-multiserver: IndexedDB: /)
    })
  )
})
