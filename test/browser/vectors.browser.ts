/**
 * Every vector of test/vectors in a page, by the tests that run on Node too. `npm run test:long -- browsers` runs them
 * in a worker as well.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { missing } from "../support/vectorTests.ts"
import { isMissing } from "./support/browsers.ts"
import { opened, opening } from "./support/page.ts"
import type { Report } from "./support/runner.ts"

/** These change each byte of a vector. Here they would take minutes, and Node runs them on the same primitives. */
const changes = ["refuses each message with any byte changed"]
/** These seal 65,536 frames. Once is enough, in `test:long`. */
const long = ["take the next key after 65,536 frames"]
const all = process.env.BROWSERS === "all"
const inPage = all ? changes : [...changes, ...long]

const check = ({ failed, ran }: Report, without: ReadonlyArray<string>) => {
  assert.deepStrictEqual(failed, [])
  assert.deepStrictEqual(missing(ran, without), [])
}

describe.skipIf(isMissing("Chromium", "the vectors in a page"))("all vectors", () => {
  it.live("hold in a page", () =>
    Effect.gen(function* () {
      const page = yield* opened(yield* opening.Chromium, "vectors")
      check((yield* Effect.promise(() => page.evaluate(`vectors(${JSON.stringify(inPage)})`))) as Report, inPage)
    })
  )

  it.live.skipIf(!all)("hold in a worker", () =>
    Effect.gen(function* () {
      const page = yield* opened(yield* opening.Chromium, "vectors")
      const report = yield* Effect.promise(async () => {
        const made = new Promise<import("puppeteer-core").WebWorker>((resolve) => page.once("workercreated", resolve))
        await page.evaluate(`void (globalThis.worker = new Worker("/vectors.js"))`)
        const worker = await made
        await worker.evaluate(`new Promise((resolve) => {
          const look = () => (globalThis.vectors ? resolve() : setTimeout(look, 10))
          look()
        })`)
        return worker.evaluate(`vectors(${JSON.stringify([...changes, ...long])})`)
      })
      check(report as Report, [...changes, ...long])
    })
  )
})
