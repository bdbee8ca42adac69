/** The identity of a page, in a real browser, where there is one. */
import * as fs from "node:fs"
import * as http from "node:http"
import type { AddressInfo } from "node:net"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as esbuild from "esbuild"
import puppeteer, { type Browser, type Page } from "puppeteer-core"
import * as Identity from "../../src/Identity.ts"
import { primitives } from "../support/primitives.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const chromium = ["/usr/bin/chromium", "/usr/bin/google-chrome"].find((file) => fs.existsSync(file))
if (chromium === undefined) console.log("NOT TESTED: the identity of a page, because there is no Chromium")

describe.skipIf(chromium === undefined)("the identity of a page", () => {
  let browser: Browser
  let server: http.Server
  let code: string | undefined

  beforeAll(async () => {
    const { outputFiles } = await esbuild.build({
      entryPoints: [path.join(root, "test/browser/clients/identity.ts")],
      absWorkingDir: root,
      bundle: true,
      format: "iife",
      tsconfigRaw: "{}",
      write: false
    })
    code = outputFiles[0]?.text
    server = http.createServer((request, response) => {
      const isScript = request.url === "/page.js"
      response.setHeader("content-type", isScript ? "text/javascript" : "text/html")
      response.setHeader("content-security-policy", "default-src 'self'")
      response.end(isScript ? code : '<!doctype html><script src="/page.js"></script>')
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    browser = await puppeteer.launch({
      executablePath: chromium ?? "",
      // It looks up no name, so it reaches nothing but this machine.
      args: ["--no-sandbox", "--disable-gpu", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    })
  })
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  const open = async (): Promise<Page> => {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return page
  }
  const own = (page: Page, options = "{}") => page.evaluate(`own(${options})`).then(String)
  const keyOf = async (file: string) => {
    const pair = await Effect.runPromise(Identity.parseSecretFile("page", file))
    const again = Identity.fromSeed(primitives, Redacted.make(Redacted.value(pair.secretKey).slice(0, 32)))
    assert.deepStrictEqual(again.publicKey, pair.publicKey)
    return Identity.formatPublicKey(pair.publicKey)
  }

  it("is made once for all tabs, stays when the page is loaded again, and is exported as SSB's secret file", async () => {
    const tabs = [await open(), await open()]
    const keys = await Promise.all((await Promise.all(tabs.map((tab) => own(tab)))).map(keyOf))
    assert.strictEqual(new Set(keys).size, 1)
    await tabs[0]?.reload()
    assert.strictEqual(await keyOf(await own(tabs[0] as Page)), keys[0])
    const other = await keyOf(await own(tabs[0] as Page, '{ name: "other" }'))
    assert.notStrictEqual(other, keys[0])
    assert.strictEqual(await keyOf(await own(tabs[1] as Page, '{ name: "other" }')), other)
  })

  it("is a typed error where there is no IndexedDB, and where something else is stored", async () => {
    const page = await open()
    await page.evaluate(`new Promise((resolve) => {
      const opening = indexedDB.open("spoiled", 1)
      opening.onupgradeneeded = () => opening.result.createObjectStore("identities").add(new Uint8Array(64), "default")
      opening.onsuccess = () => (opening.result.close(), resolve())
    })`)
    assert.match(await own(page, '{ database: "spoiled" }'), /default in IndexedDB spoiled: not a secret key/)
    await page.evaluate(`new Promise((resolve) => (indexedDB.open("foreign", 7).onsuccess = resolve))`)
    assert.match(await own(page, '{ database: "foreign" }'), /IndexedDB: .*version/)
    await page.evaluate(`Object.defineProperty(globalThis, "indexedDB", { value: undefined })`)
    assert.match(await own(page), /^identity default in IndexedDB effect-multiserver: IndexedDB: /)
  })
})
