/** A page that a test drives, whose faults are counted: there may be none. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import puppeteer, { type Browser, type Page } from "puppeteer-core"
import { afterAll, afterEach, assert, beforeAll, inject } from "vitest"
import type { Driven } from "../clients/connections.ts"
import { launch, type Name, quiet } from "./browsers.ts"

/** A browser as long as the scope: the Chromium of all tests, or a Firefox of the test's own. */
export const opening: Readonly<Record<Name, Effect.Effect<Browser, never, Scope.Scope>>> = {
  Chromium: Effect.acquireRelease(
    Effect.promise(() => puppeteer.connect({ browserWSEndpoint: inject("chromium"), ...quiet })),
    (browser) => Effect.promise(() => browser.disconnect())
  ),
  // Firefox has one driver at a time.
  Firefox: Effect.acquireRelease(
    Effect.promise(() => launch("Firefox")),
    (browser) => Effect.promise(() => browser.close())
  )
}

/** The same for the tests of a file or a group, which has hooks. */
export const shared = (name: Name) => {
  const scope = Scope.makeUnsafe()
  let browser: Browser | undefined
  beforeAll(async () => {
    browser = await Effect.runPromise(Scope.provide(opening[name], scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.sync(() => browser ?? assert.fail("before the hooks"))
}

export interface Tab {
  readonly page: Page
  /** Calls a function of the page's. */
  readonly call: <Name extends keyof Driven>(
    name: Name,
    ...args: Parameters<Driven[Name]>
  ) => Effect.Effect<Awaited<ReturnType<Driven[Name]>>>
}

/** A page of this name, opened for as long as the scope. When it closes, nothing may have gone wrong unseen. */
export const opened = (browser: Browser, name: string): Effect.Effect<Page, never, Scope.Scope> =>
  Effect.gen(function* () {
    const page = yield* Effect.acquireRelease(
      Effect.promise(() => browser.newPage()),
      (page) => Effect.promise(() => page.close())
    )
    const faults: Array<string> = []
    // Firefox also reports each WebSocket that could not connect: there, the page itself counts its faults.
    if (browser.process() === null) page.on("pageerror", (error) => faults.push(`pageerror: ${error}`))
    page.on("error", (error) => faults.push(`crash: ${error}`))
    yield* Effect.addFinalizer(() => Effect.sync(() => assert.deepStrictEqual(faults, [])))
    yield* Effect.promise(() => page.goto(`${inject("origin")}/${name}`))
    return page
  })

const calls = (page: Page): Tab => ({
  page,
  call: (name, ...args) =>
    Effect.promise(() => page.evaluate(`driven[${JSON.stringify(name)}](...${JSON.stringify(args)})`)) as never
})

/** A page that connects, for all tests of a group. After each, nothing may have gone wrong unseen. */
export const connecting = (name: Name) => {
  const browser = shared(name)
  const scope = Scope.makeUnsafe()
  let tab: Tab | undefined
  beforeAll(async () => {
    const opening = Effect.flatMap(browser, (own) => opened(own, "connections"))
    tab = calls(await Effect.runPromise(Scope.provide(opening, scope)))
  })
  afterEach(async () => {
    if (tab !== undefined) assert.deepStrictEqual(await Effect.runPromise(tab.call("faults")), [])
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return Effect.sync(() => tab ?? assert.fail("before the hooks"))
}

/** How a task went that was started in the page. */
export const join = <Name extends keyof Driven>({ call }: Tab, name: Name) =>
  call("join", name as never) as unknown as ReturnType<typeof call<Name>>
