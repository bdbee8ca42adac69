/** What a page gets: bundles of the built package, by esbuild and by Vite. Nothing of Node is in them. */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as vm from "node:vm"
import * as zlib from "node:zlib"
import { assert, beforeAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as esbuild from "esbuild"
import { build as vite } from "vite"
import { format } from "../../src/Address.ts"
import { served } from "../support/servers.ts"
import { hasWebSocket } from "../ws/browserSupport.ts"
import { multiserver } from "../ws/support.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const client = (name: string) => path.join(root, "test/browser/clients", `${name}.ts`)

interface Bundle {
  readonly code: string
  /** The bytes of each module that is in it, before gzip. */
  readonly modules: ReadonlyMap<string, number>
  /** What it imports at run time. */
  readonly imports: ReadonlyArray<string>
}

// The project's own tsconfig.json would lead to the sources.
const byEsbuild = async (entry: string, external: ReadonlyArray<string> = []): Promise<Bundle> => {
  const { metafile, outputFiles } = await esbuild.build({
    entryPoints: [entry],
    absWorkingDir: root,
    bundle: true,
    minify: true,
    format: "esm",
    platform: "browser",
    external: external.map((name) => `${name}/*`),
    tsconfigRaw: "{}",
    metafile: true,
    write: false,
    logLevel: "silent"
  })
  const [output] = Object.values(metafile.outputs)
  const inputs = Object.entries(output?.inputs ?? {}).filter(([, { bytesInOutput }]) => bytesInOutput > 0)
  return {
    code: outputFiles[0]?.text ?? "",
    modules: new Map(inputs.map(([file, { bytesInOutput }]) => [file, bytesInOutput])),
    imports: output?.imports.map((each) => each.path) ?? []
  }
}

const byVite = async (entry: string, external: ReadonlyArray<string> = []): Promise<Bundle> => {
  const built = await vite({
    configFile: false,
    root,
    logLevel: "silent",
    build: {
      write: false,
      modulePreload: false,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: "strict",
        external: external.map((name) => new RegExp(`^${name}/`))
      }
    }
  })
  if (Array.isArray(built) || !("output" in built)) return assert.fail("one build")
  const [chunk, ...others] = built.output
  assert.deepStrictEqual(others, [])
  return {
    code: chunk.code,
    modules: new Map(
      Object.entries(chunk.modules).map(([file, { renderedLength }]) => [path.relative(root, file), renderedLength])
    ),
    imports: [...chunk.imports, ...chunk.dynamicImports]
  }
}

const kilobytes = (code: string): number => zlib.gzipSync(code, { level: 9 }).length / 1000

const libraries = ["effect", "@noble"]

/** What each part of a bundle takes after gzip: a library what the bundle has less without it, and `own` the rest. */
const partsOf = async (bundle: (entry: string, external?: ReadonlyArray<string>) => Promise<Bundle>, entry: string) => {
  const all = kilobytes((await bundle(entry)).code)
  const [effect = 0, noble = 0] = await Promise.all(
    libraries.map(async (library) => all - kilobytes((await bundle(entry, [library])).code))
  )
  return { all, effect, noble, own: all - effect - noble }
}

/**
 * What a client may have, in kB after gzip: all of it, Effect with its Schema, the cryptography, and this library.
 * esbuild keeps all of a module that comes through a door, so its clients import modules, and its minifier leaves more
 * than Vite's. Vite's clients, through the door, are as small as if they imported modules.
 */
const clients = [
  { name: "shs", bundler: "vite", bundle: byVite, most: { all: 81, effect: 35, noble: 20, own: 29 } },
  { name: "both", bundler: "vite", bundle: byVite, most: { all: 87, effect: 35, noble: 22, own: 32 } },
  { name: "shs-modules", bundler: "esbuild", bundle: byEsbuild, most: { all: 86, effect: 36, noble: 20, own: 31 } },
  { name: "both-modules", bundler: "esbuild", bundle: byEsbuild, most: { all: 93, effect: 36, noble: 23, own: 35 } }
]

/** What a page has, of the realm of the test: a context has classes of its own, and Node's WebSocket gives ours. */
const page = () => {
  const { AbortController, ArrayBuffer, Uint8Array, TextDecoder, TextEncoder, URL, WebSocket } = globalThis
  const { clearTimeout, console, crypto, performance, queueMicrotask, setTimeout } = globalThis
  return {
    ...{ AbortController, ArrayBuffer, Uint8Array, TextDecoder, TextEncoder, URL, WebSocket },
    ...{ clearTimeout, console, crypto, performance, queueMicrotask, setTimeout }
  }
}

describe.each(clients)("a client of $name, bundled by $bundler,", ({ bundle, bundler, most, name }) => {
  let made: Bundle
  beforeAll(async () => {
    made = await bundle(client(name))
  })

  it("imports nothing at run time, and has no module of Node's door", () => {
    assert.deepStrictEqual(made.imports, [])
    const files = [...made.modules.keys()]
    assert.isNotEmpty(files.filter((file) => file === "dist/ws/browserPort.js"))
    for (const native of [/sodium-native|node_modules\/ws\/|node_modules\/socks|^node:/, /^dist\/(sockets|net\/Net)/]) {
      assert.deepStrictEqual(
        files.filter((file) => native.test(file)),
        []
      )
    }
    // What Vite and esbuild put where a module of Node's was.
    assert.notMatch(made.code, /__vite-browser-external|Dynamic require/)
  })

  it("has no listener, no admission, no configuration and no lists of networks", () => {
    const unused = /^dist\/(Listener|listen\/|variables|Networks|policy\/lists|bridge\/|privateFile)/
    assert.deepStrictEqual(
      [...made.modules.keys()].filter((file) => unused.test(file) && bundler === "esbuild"),
      []
    )
    assert.notMatch(made.code, /TooManyFromSource|MULTISERVER_/)
  })

  it("has no listener's side of a handshake, and without noise no cipher and no hash of noise", () => {
    assert.match(made.code, /its accept message does not open/)
    assert.notMatch(made.code, /its auth message does not open/)
    const ofNoise = [...made.modules.keys()].filter((file) => /blake2|^dist\/(noise|xk)\/Noise/.test(file))
    if (bundler === "esbuild") assert.strictEqual(ofNoise.length > 0, name.startsWith("both"))
    assert.strictEqual(made.code.includes("ChaChaPoly"), name.startsWith("both"))
  })

  it("has nothing of noisepq and of its KEM, but its section", () => {
    const ofKem = [...made.modules.keys()].filter((file) => /post-quantum|Kem|^dist\/noisepq/.test(file))
    assert.deepStrictEqual(ofKem, ["dist/noisepq/section.js"])
    assert.notMatch(made.code, /XKhfs|MLKEM768/)
  })

  it(`has at most ${most.all} kB after gzip, and each part what it may have`, async () => {
    const parts = await partsOf(bundle, client(name))
    const list = Object.entries(parts).map(([part, size]) => `${part} ${size.toFixed(1)}`)
    console.log(`${bundler}, ${name}, kB after gzip: ${list.join(", ")}`)
    for (const part of ["all", "effect", "noble", "own"] as const) assert.isAtMost(parts[part], most[part], part)
  })

  it.live.skipIf(!hasWebSocket)("dials where there is nothing of Node", () =>
    Effect.gen(function* () {
      const context = yield* Layer.build(multiserver())
      const transform = name.startsWith("shs") ? "shs" : "noise"
      const [address] = yield* Effect.provide(
        served(`ws://127.0.0.1:0~${transform}`, ({ write }) => write(new TextEncoder().encode("hello"))),
        context
      )
      const exported = /export\s*\{\s*([\w$]+) as said\s*\};?\s*$/
      // Licences may follow.
      const code = made.code.replaceAll(/\/\*![\s\S]*?\*\//g, "").trim()
      assert.match(code, exported)
      const scope = vm.createContext(page())
      vm.runInContext(
        code.replace(exported, (_, said) => `;globalThis.said = ${said}`),
        scope
      )
      assert.strictEqual(
        vm.runInContext("typeof process + typeof Buffer + typeof setImmediate", scope),
        "undefined".repeat(3)
      )
      const said: unknown = Reflect.get(scope, "said")
      if (typeof said !== "function" || address === undefined) return assert.fail("no client")
      const chunks = yield* Effect.promise((): Promise<ReadonlyArray<Uint8Array>> => said(format(address)))
      assert.strictEqual(Buffer.concat(chunks).toString(), "hello")
    }).pipe(Effect.scoped)
  )
})

describe("a client of shs, noise and noisepq, bundled by vite,", () => {
  it("has ML-KEM in JavaScript, and at most 94 kB after gzip", async () => {
    const { code, imports, modules } = await byVite(client("hybrid"))
    assert.deepStrictEqual(imports, [])
    assert.include([...modules.keys()], "node_modules/@noble/post-quantum/ml-kem.js")
    assert.match(code, /XKhfs/)
    assert.isAtMost(kilobytes(code), 94)
  })
})

describe("the door for browsers", () => {
  it("and all that it exports is bundled without a module of Node", async () => {
    const { imports, modules } = await byEsbuild(path.join(root, "dist/browser.js"))
    assert.deepStrictEqual(imports, [])
    const ours = [...modules.keys()].filter((file) => file.startsWith("dist/"))
    assert.includeMembers(ours, ["dist/BrowserMultiserver.js", "dist/Listener.js", "dist/bridge/WebStream.js"])
    const nodes = /\b(Buffer|process|global)\.|\b(setImmediate|clearImmediate|require)\(|\b__(dirname|filename)\b/
    const withNodes = ours.filter((file) =>
      nodes.test(fs.readFileSync(path.join(root, file), "utf8").replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, ""))
    )
    // It asks first whether there is a Buffer.
    assert.deepStrictEqual(withNodes, ["dist/bridge/PullStream.js"])
  })

  it("can't be bundled with one: esbuild and this test would say so", async () => {
    const entry = { contents: 'import "effect-multiserver/node"', resolveDir: root, loader: "ts" } as const
    const failed = await esbuild
      .build({ stdin: entry, bundle: true, platform: "browser", write: false, logLevel: "silent", tsconfigRaw: "{}" })
      .then(
        () => "",
        (error: Error) => error.message
      )
    assert.match(failed, /effect-multiserver\/node|node:/)
  })
})
