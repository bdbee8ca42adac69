/**
 * The platform-free door needs no more than JavaScript and what every platform has: `Uint8Array`, timers, microtasks,
 * URLs.
 */
import { spawn } from "node:child_process"
import * as fs from "node:fs"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Address from "../../src/Address.ts"

const src = new URL("../../src/", import.meta.url)

/** Names that Node puts everywhere, and that other platforms lack. */
const nodeNames = [
  "Buffer",
  "process",
  "setImmediate",
  "clearImmediate",
  "require",
  "global",
  "__dirname",
  "__filename"
]

/** Who may use one all the same, and why that is no need. */
const allowed: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "bridge/PullStream.ts": { Buffer: "asks first whether there is one: pull-streams of npm's multiserver carry Buffers" }
}

const withoutComments = (text: string): string =>
  text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|[^:])\/\/.*$/gm, "$1")

/** Without comments and quoted text: what is left are names, and templates. */
const codeOf = (text: string): string => withoutComments(text).replace(/"(?:[^"\\\n]|\\.)*"/g, '""')

/** The modules that one imports when it runs: types are not there then. */
const importsOf = (text: string): ReadonlyArray<string> =>
  [...withoutComments(text).matchAll(/^(?:import|export)(?! type\b)[^"]*?\bfrom "([^"]+)"|^import "([^"]+)"/gm)].map(
    ([, from, alone]) => from ?? alone ?? ""
  )

/** All modules of ours that the door reaches, and the others that they import. */
const reached = () => {
  const modules = new Map<string, string>()
  const others = new Set<string>()
  const visit = (url: URL): void => {
    const name = url.href.slice(src.href.length)
    if (modules.has(name)) return
    const text = fs.readFileSync(url, "utf8")
    modules.set(name, text)
    for (const imported of importsOf(text)) {
      if (imported.startsWith(".")) visit(new URL(imported, url))
      else others.add(`${name}: ${imported}`)
    }
  }
  visit(new URL("index.ts", src))
  return { modules, others }
}

describe("the platform-free door", () => {
  const { modules, others } = reached()

  it("reaches the core, and needs nothing but Effect", () => {
    for (const name of ["Connection.ts", "Codec.ts", "Multiserver.ts"]) assert.isTrue(modules.has(name), name)
    const foreign = [...others].filter((other) => !/: effect(\/|$)/.test(other))
    assert.deepStrictEqual(foreign, [])
  })

  it("uses no name that only Node has", () => {
    const used: Record<string, Array<string>> = {}
    for (const [name, text] of modules) {
      const code = codeOf(text)
      const own = nodeNames.filter((each) => new RegExp(`(?<![\\w$.])${each}(?![\\w$]|\\??:)`).test(code))
      if (own.length > 0) used[name] = own
    }
    const reasons = Object.entries(allowed).map(([name, why]) => [name, Object.keys(why)])
    assert.deepStrictEqual(used, Object.fromEntries(reasons))
  })

  it("reads addresses where there are no URLs that know names beyond ASCII, as in React Native", () => {
    const { URL: whole } = globalThis
    const texts = [
      "net:[::1]:8008",
      "net:::1:8008",
      "ws://[2001:DB8::1]:1/p",
      "net:pub.example:1",
      "net:m\u00fcnchen.example:1"
    ]
    const read = () =>
      texts.map((text) =>
        Result.match(Address.parse(text), { onSuccess: String, onFailure: ({ reason }) => reason._tag })
      )
    const expected = ["net:::1:8008", "net:::1:8008", "ws://[2001:db8::1]:1/p", "net:pub.example:1"]
    assert.deepStrictEqual(read(), [...expected, "net:m\u00fcnchen.example:1"])
    try {
      for (const there of [undefined, class {}]) {
        Reflect.set(globalThis, "URL", there)
        assert.deepStrictEqual(read(), [...expected, "BadHost"])
      }
    } finally {
      globalThis.URL = whole
    }
  })

  it.live("opens frames that straddle two reads where there is no name of Node's", () =>
    Effect.gen(function* () {
      const script = fileURLToPath(new URL("./bare.mjs", import.meta.url))
      // What a test run looks for in each process needs `Buffer`.
      const env = { ...process.env, NODE_OPTIONS: "", SECRETS_SCAN_DIR: "" }
      const said = yield* Effect.callback<string>((resume) => {
        const child = spawn(process.execPath, [script], { env, stdio: ["ignore", "pipe", "pipe"] })
        let text = ""
        const hear = (data: Buffer) => {
          text += data
        }
        child.stdout.on("data", hear)
        child.stderr.on("data", hear)
        child.once("close", () => resume(Effect.succeed(text)))
        return Effect.sync(() => void child.kill("SIGKILL"))
      })
      assert.deepStrictEqual(said.trim().split("\n"), [
        "10 bytes, cut at 2: 10, as sent",
        "10 bytes, cut at 8: 10, as sent",
        "33000 bytes, cut at 3: 33000, as sent",
        "60000 bytes, cut at 30000: 60000, as sent"
      ])
    })
  )
})
