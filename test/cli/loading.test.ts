/** A command loads what it needs: most of the time that a short one takes is that of loading modules. */
import * as fs from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { run } from "./support.ts"

const Urls = Schema.fromJsonString(Schema.Array(Schema.String))

const folder = new URL("../../dist/cli/", import.meta.url)

const Map = Schema.fromJsonString(Schema.Struct({ sources: Schema.Array(Schema.String) }))

/** What is in a file of the command, by the map that goes with it: `src/net/Net.ts` for example. */
const modulesIn = (url: string): ReadonlyArray<string> =>
  Schema.decodeUnknownSync(Map)(fs.readFileSync(new URL(`${url}.map`), "utf8")).sources.map((source) =>
    source.replace(/^(\.\.\/)+/, "")
  )

/** Whether it is a protocol's, or a package's that it brings. `section.ts` of each is a part of reading addresses. */
const isProtocols = (module: string): boolean =>
  /^src\/(net|ws|unix|onion|shs|noise|noisepq|xk|noauth|deflate)\/(?!section\.ts)/.test(module) ||
  /\/node_modules\/(sodium-native|ws|socks|@noble)\//.test(module)

/** The protocols' modules that a command loads, and how it ends. */
const loads = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const hook = new URL("./loaded.mjs", import.meta.url).href
    const { code, stderr } = yield* run(args, { env: { NODE_OPTIONS: `--import=${hook}` } })
    const urls = yield* Schema.decodeUnknownEffect(Urls)(stderr.trim().split("\n").at(-1))
    assert.isTrue(urls.some((url) => url.endsWith("/dist/cli/main.js")))
    const modules = urls.flatMap((url) => (url.startsWith(folder.href) ? modulesIn(url) : [url]))
    return { code, modules: modules.filter(isProtocols) }
  })

describe.concurrent("no protocol is loaded", () => {
  it.live.each([
    { args: ["address", "onion:abcdefghijklmnop.onion:1~shs"], code: 0 },
    { args: ["address", "ws://pub.example~noise~deflate"], code: 0 },
    { args: ["connect", "--help"], code: 0 },
    { args: ["--version"], code: 0 },
    { args: ["--completions", "bash"], code: 0 },
    { args: ["connect", "--frobnicate"], code: 2 }
  ])("by $args.0 $args.1", ({ args, code }) =>
    Effect.gen(function* () {
      const loaded = yield* loads(...args)
      assert.deepStrictEqual(loaded, { code, modules: [] })
    })
  )
})

describe.concurrent("protocols are loaded", () => {
  it.live("by a command that speaks them", () =>
    Effect.gen(function* () {
      const { code, modules } = yield* loads(
        "connect",
        "net:127.0.0.1:1~shs:ZMYOtahB0BwspMdkuFCoQdBWRKXlTZaoWkL/CbL34qI="
      )
      assert.strictEqual(code, 3)
      for (const name of ["/sodium-native/", "src/net/Net.ts", "src/shs/Shs.ts"]) {
        assert.isTrue(
          modules.some((url) => url.includes(name)),
          name
        )
      }
    })
  )

  it.live("by keygen, which needs their keys, but not how they are carried", () =>
    Effect.gen(function* () {
      const { modules } = yield* loads("keygen", "--output", "/nowhere/secret")
      assert.isTrue(modules.some((url) => url.includes("/sodium-native/")))
      assert.deepStrictEqual(
        modules.filter((url) => !url.includes("/sodium-native/")),
        []
      )
    })
  )
})
