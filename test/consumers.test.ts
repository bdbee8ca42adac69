/** The package as somebody's dependency: packed, unpacked into an empty project, compiled against and run. */
import { execFile, spawn, spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { everyExport } from "./support/everyExport.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const project = fs.mkdtempSync(path.join(os.tmpdir(), "consumer-"))
const modules = path.join(project, "node_modules")

const run = (command: string, ...args: ReadonlyArray<string>) => promisify(execFile)(command, args, { cwd: project })

/** The lowest Node that package.json promises. It comes from npm at the first run. */
const installer = path.join(root, "scripts/install-runtimes.sh")
const lowest = spawnSync("bash", [installer, "node20"], { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" })
  .stdout.trim()
  .split("\t")[1]
if (lowest === undefined) console.error("NOT TESTED: without Node 20.19, the package was not tested on it")

/** What npm would install beside it. */
const dependencies = ["effect", "ws", "socks", "sodium-native", "@noble", "@types/node", "undici-types"]

beforeAll(async () => {
  await run("npm", "pack", "--ignore-scripts", "--pack-destination", project, root)
  const [tarball = ""] = fs.readdirSync(project).filter((file) => file.endsWith(".tgz"))
  await run("tar", "xzf", tarball)
  fs.mkdirSync(path.join(modules, "@types"), { recursive: true })
  fs.renameSync(path.join(project, "package"), path.join(modules, "effect-multiserver"))
  for (const name of dependencies) {
    fs.symlinkSync(path.join(root, "node_modules", name), path.join(modules, name), "dir")
  }
  fs.writeFileSync(path.join(project, "package.json"), JSON.stringify({ type: "module" }))
  fs.writeFileSync(path.join(project, "main.ts"), program)
  fs.writeFileSync(path.join(project, "exporting.ts"), exporting)
  fs.writeFileSync(path.join(project, "every.ts"), everyExport(path.join(modules, "effect-multiserver")))
  fs.writeFileSync(path.join(project, "wrong.ts"), wrong)
})

afterAll(() => fs.rmSync(project, { recursive: true, force: true }))

const program = `
import { Effect, Layer } from "effect"
import * as Address from "effect-multiserver/Address"
import { type Connection, Multiserver, NodeIdentity, NodeMultiserver } from "effect-multiserver/node"
import { Chaos, Compliance } from "effect-multiserver/testing"

const Live = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))

export const program: Effect.Effect<number, unknown> = Effect.gen(function* () {
  const connection: Connection.Connection = yield* Multiserver.dial("net:127.0.0.1:1~shs")
  yield* connection.write(new Uint8Array(1))
  return Address.format(connection.remote).length
}).pipe(Effect.scoped, Effect.provide(Live))

export const forTests = [Chaos.layer, Compliance.suite]
`

/** What a library on top of this one exports, with the types that the compiler infers. */
const exporting = `
import { Context, Effect, Layer, Result, Schema } from "effect"
import * as Node from "effect-multiserver/node"
import * as Transports from "effect-multiserver/Transport"

const { Configuration, Events, Limits, Multiserver, Net, NodeMultiserver, Policy, Shs, Stack, WebSocket } = Node

export const Live = NodeMultiserver.layer({ authorize: ({ publicKey }) => Effect.succeed(publicKey.length > 0) })
export const fromEnvironment = NodeMultiserver.layerConfig()
export const pieces = [Net.layer(), WebSocket.layerSecure(), Shs.layer(), Events.layerLog, Configuration.layerPolicy]
export const Own = Multiserver.layer(["net~shs", "ws~noise"]).pipe(Layer.provide(Net.layer()))
export const Server = Multiserver.layerServer("memory:m", (peer) => peer.write(new Uint8Array(1)))
export const limits = Limits.Limits

export const dialed = Multiserver.dial("net:127.0.0.1:1~shs", { plan: "race", timeout: "1 second" })
export const listening = Effect.map(Multiserver.listen("memory:m"), (listener) => ({ ...listener }))
export const parts = Effect.map(dialed, ({ closed, peer, pull, remote, write }) => ({ closed, peer, pull, remote, write }))
export const errors = Effect.map(Effect.flip(dialed), (error) => ({ error, reason: error.reason }))
export const sections = Result.map(Node.Address.parse("memory:m"), ([address]) => address.transport)

export const names = Stack.product(["net", "ws"], ["shs", "noise"])
export const stack = (context: Context.Context<Node.Stack.Requires<"net~shs">>) => Stack.resolve(context, "net~shs")
export const upgrade = (own: Node.Stack.Stack, address: Node.Address.Address) => Stack.upgrade(own, address, "inbound")

export class OwnMultiserver extends Multiserver.Multiserver {}
export class Refused extends Node.DialError.Refused {}
export const ownTransport = Transports.Transport("own")
export class Kept extends Schema.Class<Kept>("Kept")({ key: Node.Identity.PublicKey, at: Schema.Int }) {}
export class Service extends Context.Service<Service>()("Service", { make: Effect.map(dialed, (own) => ({ own })) }) {
  static readonly layer = Layer.effect(this, this.make).pipe(Layer.provide(Live))
}
`

/** Each of these lacks a layer, and the compiler says which. */
const wrong = `
import { Effect, Layer } from "effect"
import { Identity, Multiserver, NodeMultiserver, Sodium } from "effect-multiserver/node"

const dial = Effect.scoped(Multiserver.dial("net:127.0.0.1:1~shs"))
export const programs: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
  Effect.provide(dial, NodeMultiserver.layer().pipe(Layer.provide([Identity.layerEphemeral, Sodium.layer]))),
  Effect.provide(dial, NodeMultiserver.layer()),
  dial,
  Layer.build(Multiserver.layer(["wss"])).pipe(Effect.scoped),
  Effect.provide(Identity.Identity, Identity.layerFile("./secret"))
]
`
const lacking = [
  'Primitives<"Sodium.layer or Noble.layer">',
  "Identity",
  "Multiserver",
  'Transport<"wss">',
  "FileSystem"
]

/** `effect` itself needs the types of the DOM, for `CryptoKey`. */
const common = {
  target: "es2023",
  lib: ["es2023", "dom"],
  types: ["node"],
  strict: true,
  declaration: true,
  emitDeclarationOnly: true,
  outDir: "emitted",
  skipLibCheck: false
}

/** The strictest that this project has itself; `npm run test:long -- consumers` compiles with all. */
const some = [{ compiler: "typescript", module: "nodenext", exactOptionalPropertyTypes: true }]
const all = ["typescript", "typescript-5.9"].flatMap((compiler) =>
  ["nodenext", "bundler"].flatMap((module) =>
    [true, false].map((exactOptionalPropertyTypes) => ({ compiler, module, exactOptionalPropertyTypes }))
  )
)

describe("a project that depends on the package", () => {
  it.each(process.env.CONSUMERS === "all" ? all : some)(
    "compiles: $compiler, $module, exactOptionalPropertyTypes $exactOptionalPropertyTypes",
    async ({ compiler, exactOptionalPropertyTypes, module }) => {
      const resolution = module === "nodenext" ? { module } : { module: "esnext", moduleResolution: "bundler" }
      const compilerOptions = { ...common, ...resolution, exactOptionalPropertyTypes }
      const files = ["main.ts", "exporting.ts", "every.ts", "wrong.ts"]
      const file = path.join(project, `${compiler}-${module}-${exactOptionalPropertyTypes}.json`)
      fs.writeFileSync(file, JSON.stringify({ compilerOptions, files }))
      const tsc = path.join(root, "node_modules", compiler, "bin/tsc")
      // On several threads it does some of its work on each of them.
      const threads = compiler === "typescript" ? ["--singleThreaded"] : []
      const said = await run(process.execPath, tsc, "-p", file, ...threads).catch(({ stdout }: { stdout: string }) => ({
        stdout
      }))
      // In wrong.ts each program is an error, whose text names what is missing. In main.ts there is none.
      const missing = [...said.stdout.matchAll(/^ *Type '([^']*)' is not assignable to type 'never'/gm)]
      assert.deepStrictEqual(
        missing.map(([, name]) => name),
        lacking,
        said.stdout
      )
      assert.notMatch(said.stdout, /^(?!wrong\.ts|\s|$)/m)
    }
  )

  const nodes = [
    ["this Node", process.execPath] as const,
    ...(lowest === undefined ? [] : [["the lowest", lowest] as const])
  ]

  it.each(nodes)("has a command that needs no package of Effect: %s", async (_, node) => {
    const own = fs.mkdtempSync(path.join(project, "command-"))
    const installed = path.join(own, "node_modules/effect-multiserver")
    fs.mkdirSync(path.join(installed, "dist"), { recursive: true })
    for (const part of ["package.json", "dist/cli"]) {
      fs.cpSync(path.join(modules, "effect-multiserver", part), path.join(installed, part), { recursive: true })
    }
    // These need packages of their own, which Node finds where the links lead.
    for (const name of ["ws", "socks", "sodium-native"]) {
      fs.symlinkSync(path.join(root, "node_modules", name), path.join(own, "node_modules", name), "dir")
    }
    const main = path.join(installed, "dist/cli/main.js")
    const { stdout: key } = await run(node, main, "keygen", "--output", path.join(own, "secret"))
    const listening = ["listen", "net:127.0.0.1:0~shs", "--key-file", path.join(own, "secret"), "--echo", "--json"]
    const listener = spawn(node, [main, ...listening], { stdio: ["ignore", "ignore", "pipe"] })
    const ended = new Promise((resolve) => listener.once("exit", resolve))
    let said = ""
    for await (const chunk of listener.stderr) {
      said += chunk
      const [, address = ""] = /"listening","addresses":\["([^"]+)"/.exec(said) ?? []
      if (address === "") continue
      assert.include(address, key.trim())
      const { stderr, stdout } = await run(node, main, "probe", address)
      assert.include(stdout + stderr, key.trim())
      break
    }
    listener.kill("SIGTERM")
    assert.strictEqual(await ended, 0, said)
  })

  it.skipIf(lowest === undefined)("runs on the lowest Node", async () => {
    const own = [
      ["examples/hello.ts", "hello.mjs"],
      ["test/runtimes/echo.mjs", "echo.mjs"],
      ...["server.key", "server.crt", "ca.crt"].map((file) => [`test/fixtures/tls/${file}`, file])
    ]
    for (const [from = "", to = ""] of own) fs.copyFileSync(path.join(root, from), path.join(project, to))
    const hello = await run(lowest ?? "", "hello.mjs")
    assert.match(hello.stdout, /^net:\S+~shs:\S+ says hello\n$/)
    const { stdout } = await run(lowest ?? "", "echo.mjs")
    const echoes = Object.entries(JSON.parse(stdout))
    assert.isAbove(echoes.length, 8)
    assert.deepStrictEqual(
      echoes.filter(([, outcome]) => outcome !== "echo"),
      []
    )
  })

  it("runs as JavaScript, from import and from require", async () => {
    const says = "console.log(typeof node.Multiserver.dial, typeof address.parse, typeof testing.Chaos.layer)"
    const names = ["node", "Address", "testing"].map((name) => `"effect-multiserver/${name}"`)
    const [node, address, testing] = names
    const esm = `import * as node from ${node}; import * as address from ${address}; import * as testing from ${testing}; ${says}`
    const cjs = `const node = require(${node}), address = require(${address}), testing = require(${testing}); ${says}`
    for (const [file, text] of [
      ["main.mjs", esm],
      ["main.cjs", cjs]
    ] as const) {
      fs.writeFileSync(path.join(project, file), text)
      const { stdout } = await run(process.execPath, file)
      assert.strictEqual(stdout, "function function function\n", file)
    }
  })
})
