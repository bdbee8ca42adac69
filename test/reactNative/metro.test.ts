/** The browser's door in React Native: bundled by Metro with React Native's own preset, and compiled by hermesc. */
import { execFileSync, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as path from "node:path"
import * as vm from "node:vm"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as esbuild from "esbuild"
import { format } from "../../src/Address.ts"
import { served } from "../support/servers.ts"
import { hasWebSocket } from "../ws/browserSupport.ts"
import { multiserver } from "../ws/support.ts"
import { folder, hermesc, root, tools } from "./tools.ts"

const app = folder()
const own = path.join(app, "node_modules/effect-multiserver")
const read = (name: string): string => fs.readFileSync(path.join(app, name), "utf8")

/** What an app does: docs/react-native.md shows it. */
const client = `import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { BrowserMultiserver, Identity, Multiserver, Noble } from "effect-multiserver/browser"

const Live = BrowserMultiserver.layerNoDeps().pipe(Layer.provide(Identity.layerEphemeral), Layer.provide(Noble.layer))

globalThis.said = (address) =>
  Multiserver.dial(address, { plan: "race" }).pipe(
    Effect.flatMap((connection) => Effect.andThen(connection.end, connection.pull)),
    Effect.scoped,
    Effect.provide(Live),
    Effect.runPromise
  )
`

beforeAll(() => {
  fs.mkdirSync(own, { recursive: true })
  fs.cpSync(path.join(root, "package.json"), path.join(own, "package.json"))
  fs.cpSync(path.join(root, "dist"), path.join(own, "dist"), { recursive: true })
  fs.writeFileSync(path.join(app, "package.json"), JSON.stringify({ name: "app", private: true }))
  fs.writeFileSync(path.join(app, "client.js"), client)
  fs.writeFileSync(path.join(app, "native.js"), 'import "effect-multiserver/NodeMultiserver"')
})

afterAll(() => fs.rmSync(app, { recursive: true, force: true }))

const bundle = (entry: string) =>
  spawnSync(
    process.execPath,
    [path.join(import.meta.dirname, "metro.mjs"), tools ?? "", app, root, path.join(app, entry)],
    { encoding: "utf8" }
  )

describe("docs/react-native.md", () => {
  it("shows what the app does", () => {
    const page = fs.readFileSync(path.join(root, "docs/react-native.md"), "utf8")
    assert.include(page, client.slice(0, client.indexOf("\nglobalThis")))
  })
})

/** Not in Hermes 0.14: toSorted (compat-table/compat-table#2019), and helpers of iterators (facebook/hermes#1684). */
const notInHermes =
  /\.toSorted\(|\.(values|keys|entries)\(\)\s*\.(map|filter|some|every|find|reduce|take|drop|toArray)\(/

describe("what the browser's door reaches", () => {
  it("has nothing that React Native's preset or Hermes refuse: no Config, no import.meta, no `export * as`, no toSorted", async () => {
    const { metafile } = await esbuild.build({
      entryPoints: [path.join(root, "dist/browser.js")],
      absWorkingDir: root,
      bundle: true,
      write: false,
      // Metro leaves out nothing of a module, and no module.
      treeShaking: false,
      ignoreAnnotations: true,
      format: "esm",
      platform: "browser",
      tsconfigRaw: "{}",
      metafile: true,
      logLevel: "silent"
    })
    const files = Object.keys(metafile.inputs)
    assert.isAbove(files.length, 200)
    assert.isEmpty(files.filter((file) => /effect\/dist\/Config|^dist\/(Configuration|variables)/.test(file)))
    for (const file of files) {
      const code = (await esbuild.transform(fs.readFileSync(path.join(root, file), "utf8"))).code
      const own = code.replaceAll(/^\s*(\/\*|\*).*$/gm, "")
      assert.notMatch(own, /import\.meta\b|^export \* as /m, file)
      assert.notMatch(own, notInHermes, file)
    }
  })
})

describe.skipIf(tools === undefined)("React Native's Metro", () => {
  beforeAll(() => {
    const { status, stderr } = bundle("client.js")
    assert.strictEqual(status, 0, stderr)
  })

  it("bundles it with React Native's own preset, and no module of Node's", () => {
    const code = read("client.bundle.js")
    assert.include(code, "its accept message does not open")
    assert.notMatch(code, /sodium-native|require\("node:/)
  })

  it("finds no module that is for Node alone", () => {
    const { status, stderr } = bundle("native.js")
    assert.notStrictEqual(status, 0)
    assert.match(stderr, /effect-multiserver\/NodeMultiserver/)
  })

  it.skipIf(hermesc === undefined)("makes a bundle that hermesc compiles", () => {
    const out = path.join(app, "client.hbc")
    execFileSync(hermesc ?? "", ["-O0", "-w", "-emit-binary", "-out", out, path.join(app, "client.bundle.js")])
    // The first bytes of Hermes' bytecode.
    assert.strictEqual(fs.readFileSync(out).subarray(0, 8).toString("hex"), "c61fbc03c103191f")
  })

  it.live.skipIf(!hasWebSocket)(
    "makes a bundle that dials with shs and noise, over a WebSocket without bufferedAmount",
    () =>
      Effect.gen(function* () {
        const { ArrayBuffer, Uint8Array } = globalThis
        const { clearTimeout, console, crypto, performance, queueMicrotask, setTimeout, TextDecoder, TextEncoder } =
          globalThis
        // As React Native's: it has this property's type, and no value.
        class WebSocket extends globalThis.WebSocket {}
        Object.defineProperty(WebSocket.prototype, "bufferedAmount", { value: undefined })
        // All that docs/react-native.md says is needed, and no more.
        const needed = {
          crypto,
          performance,
          queueMicrotask,
          setTimeout,
          clearTimeout,
          TextDecoder,
          TextEncoder,
          WebSocket
        }
        const scope = vm.createContext({ ...needed, ArrayBuffer, Uint8Array, console })
        vm.runInContext("delete Array.prototype.toSorted", scope)
        vm.runInContext(read("client.bundle.js"), scope)
        const said: unknown = Reflect.get(scope, "said")
        if (typeof said !== "function") return assert.fail("no client")
        const context = yield* Layer.build(multiserver())
        for (const transform of ["shs", "noise"]) {
          const [address] = yield* Effect.provide(
            served(`ws://127.0.0.1:0~${transform}`, ({ write }) => write(new TextEncoder().encode("hello"))),
            context
          )
          if (address === undefined) return assert.fail("no address")
          const chunks = yield* Effect.promise((): Promise<ReadonlyArray<Uint8Array>> => said(format(address)))
          assert.strictEqual(Buffer.concat(chunks).toString(), "hello")
        }
      }).pipe(Effect.scoped)
  )
})
