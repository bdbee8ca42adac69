/** The variables of the environment: what is read, what is refused, and the table of docs/configuration.md. */
import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import { vi } from "vitest"
import { written } from "../scripts/configuration.ts"
import * as AppKey from "../src/AppKey.ts"
import * as Configuration from "../src/Configuration.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Identity from "../src/Identity.ts"
import type * as Limits from "../src/Limits.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Networks from "../src/Networks.ts"
import * as NodeIdentity from "../src/NodeIdentity.ts"
import * as NodeMultiserver from "../src/NodeMultiserver.ts"
import * as Net from "../src/net/Net.ts"
import * as Shs from "../src/shs/Shs.ts"
import * as TlsFiles from "../src/tlsFiles.ts"
import { type Variable, variables } from "../src/variables.ts"
import * as WebSocket from "../src/ws/WebSocket.ts"
import { primitives } from "./support/primitives.ts"
import { base64 } from "./support/vectors.ts"

type Env = Readonly<Record<string, string>>

/** Effect's default provider, where the process has these variables. */
const byDefault = <A, E>(env: Env, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.suspend(() => {
    for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
    const provider = ConfigProvider.ConfigProvider.defaultValue()
    vi.unstubAllEnvs()
    return Effect.provideService(effect, ConfigProvider.ConfigProvider, provider)
  })

const under = <A, E>(provider: ConfigProvider.ConfigProvider, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.provideService(effect, ConfigProvider.ConfigProvider, provider)

const secretOf = ({ secretKey }: Identity.KeyPair) => base64(Redacted.value(secretKey).subarray(0, 32))

const identity = Effect.map(
  Effect.provide(Identity.Identity, Configuration.layerIdentity().pipe(Layer.provide(Sodium.layer), Layer.fresh)),
  secretOf
)

const bytes = base64(Uint8Array.from({ length: 32 }, (_, i) => i))

/** How a variable is read, a value, and what it gives. */
type Reading = readonly [read: Effect.Effect<unknown, unknown>, text: string, value: unknown]

const limit = (name: keyof Limits.LimitValues, text: string, value: unknown): Reading => [
  Effect.map(Configuration.limits, (limits) => limits[name]),
  text,
  value
]
const list = (of: "dial" | "accept", name: "allow" | "deny"): Reading => [
  Effect.map(Configuration.policy, (options) => options[of]?.[name]),
  "10.0.0.0/8, 2001:db8::1",
  ["10.0.0.0/8", "2001:db8::1/128"]
]

/** A secret file, and roots to trust. */
const directory = fs.mkdtempSync(path.join(os.tmpdir(), "variables-"))
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }))
const keyFile = path.join(directory, "secret")
const pair = Identity.fromSeed(primitives, Redacted.make(Buffer.from(bytes, "base64")))
fs.writeFileSync(keyFile, Identity.formatSecretFile(pair), { mode: 0o600 })
const root = fileURLToPath(new URL("./fixtures/tls/ca.crt", import.meta.url))

const withFiles = Effect.provide(NodeServices.layer)

/** The identity of whichever variable has it. */
const ofNode = Effect.provide(Identity.Identity, Layer.fresh(NodeIdentity.layerConfig)).pipe(withFiles)

const readings: Readonly<Record<Exclude<keyof typeof variables, "address" | "tlsKeyFile" | "tlsCertFile">, Reading>> = {
  secret: [identity, bytes, bytes],
  keyFile: [Effect.map(ofNode, secretOf), keyFile, bytes],
  listen: [
    Effect.map(Configuration.listen, (addresses) => addresses.map(String)),
    "net:0.0.0.0:8008~shs;wss://0.0.0.0~noise",
    ["net:0.0.0.0:8008~shs", "wss://0.0.0.0~noise"]
  ],
  allowedKeys: [
    Effect.flatMap(Configuration.allowedKeys, (keys) =>
      Effect.forEach([pair.publicKey, Identity.PublicKey.make(new Uint8Array(32))], (publicKey) =>
        keys === undefined ? Effect.undefined : keys.authorize({ publicKey })
      )
    ),
    `@${Identity.formatPublicKey(pair.publicKey)}.ed25519, ${Identity.formatPublicKey(pair.publicKey)},`,
    [true, false]
  ],
  origins: [
    WebSocket.configOrigins,
    "https://app.example, http://localhost:5173",
    ["https://app.example", "http://localhost:5173"]
  ],
  tlsCaFile: [
    Effect.flatMap(TlsFiles.config, TlsFiles.trust).pipe(
      withFiles,
      Effect.map(({ ca }) => Redacted.isRedacted(ca) && Redacted.value(ca))
    ),
    root,
    fs.readFileSync(root, "utf8")
  ],
  appKey: [
    Effect.map(AppKey.AppKey.pipe(Effect.provide(Configuration.layerAppKey)), (key) => base64(Redacted.value(key))),
    bytes,
    bytes
  ],
  dialAllow: list("dial", "allow"),
  dialDeny: list("dial", "deny"),
  dialDenyPrivate: [Effect.map(Configuration.policy, ({ dial }) => dial?.denyPrivate), "true", true],
  acceptAllow: list("accept", "allow"),
  acceptDeny: list("accept", "deny"),
  trustedProxies: [Effect.map(Configuration.trustedProxies, Networks.format), "10.0.0.0/8", ["10.0.0.0/8"]],
  handshake: limit("handshake", "3 seconds", Duration.seconds(3)),
  close: limit("close", "3 seconds", Duration.seconds(3)),
  grace: limit("grace", "3 seconds", Duration.seconds(3)),
  idle: limit("idle", "5 minutes", Duration.minutes(5)),
  lookup: limit("lookup", "3 seconds", Duration.seconds(3)),
  dialWait: limit("dialWait", "3 seconds", Duration.seconds(3)),
  dials: limit("dials", "7", 7),
  pendingHandshakes: limit("pendingHandshakes", "7", 7),
  connections: limit("connections", "7", 7),
  sourceConnections: limit("sourceConnections", "7", 7),
  sourceRate: limit("sourceRate", "7", 7),
  exemptLoopback: limit("exemptLoopback", "false", false)
}

const all = Object.entries(readings).map(([key, reading]) => {
  const variable: Variable = variables[key as keyof typeof readings]
  return [variable.name, variable, reading] as const
})

const everything = withFiles(Effect.scoped(Layer.build(Layer.fresh(NodeMultiserver.layerConfig()))))

/** Each layer that reads variables. */
const layers: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>]> = [
  ["Configuration.layerLimits", Effect.scoped(Layer.build(Layer.fresh(Configuration.layerLimits)))],
  ["Configuration.layerPolicy", Effect.scoped(Layer.build(Layer.fresh(Configuration.layerPolicy)))],
  ["Configuration.layerIdentity", identity],
  ["NodeIdentity.layerConfig", ofNode],
  ["NodeMultiserver.layerConfig", everything]
]

describe("a variable", () => {
  it.effect.each(all)(
    "%s works under Effect's default provider, in constant case, and of an object",
    ([name, , [read, text, value]]) =>
      Effect.gen(function* () {
        const env = { [name]: text }
        assert.deepStrictEqual(yield* byDefault(env, read), value)
        assert.deepStrictEqual(yield* under(ConfigProvider.constantCase(ConfigProvider.fromEnv({ env })), read), value)
        assert.deepStrictEqual(yield* under(ConfigProvider.fromUnknown(env), read), value)
      })
  )

  it.effect.each(all)("%s that cannot be read is an error that names it, and holds no value", ([name, , [read]]) =>
    Effect.gen(function* () {
      // A word alone is the address of a protocol of somebody else's.
      const text = name === "MULTISERVER_LISTEN" ? "net:banana" : "banana"
      const error = yield* Effect.flip(byDefault({ [name]: text }, read))
      assert.match(String(error), new RegExp(`\\b${name}: `))
      if (!/_(DIAL_ALLOW|DIAL_DENY|ACCEPT_ALLOW|ACCEPT_DENY|TRUSTED_PROXIES|FILE)$/.test(name)) {
        assert.notInclude(`${error}${JSON.stringify(error)}`, "banana")
      }
    })
  )

  it.effect.each(all)("%s has the default that the table says", ([name, { byDefault: text }, [read]]) =>
    Effect.gen(function* () {
      const [, written] = /^`(.*)`$/.exec(text) ?? []
      if (written === undefined) return
      assert.deepStrictEqual(yield* byDefault({ [name]: written }, read), yield* byDefault({}, read))
    })
  )

  it.effect("of time or number is refused when it makes no sense", () =>
    Effect.gen(function* () {
      for (const [name, text] of [
        ["MULTISERVER_IDLE", "-5 seconds"],
        ["MULTISERVER_IDLE", "soon"],
        ["MULTISERVER_SOURCE_RATE", "0"],
        ["MULTISERVER_SOURCE_RATE", "1.5"],
        ["MULTISERVER_CONNECTIONS", "Infinity"],
        ["MULTISERVER_EXEMPT_LOOPBACK", "maybe"]
      ] as const) {
        const error = yield* Effect.flip(byDefault({ [name]: text }, Configuration.limits))
        assert.include(String(error), `${name}: it takes `)
      }
    })
  )
})

describe.each(layers)("%s", (layer, build) => {
  const own: Env =
    layer === "Configuration.layerLimits" || layer === "Configuration.layerPolicy" ? {} : { MULTISERVER_SECRET: bytes }
  const error = (env: Env) => Effect.map(Effect.flip(byDefault({ ...own, ...env }, build)), String)

  it.effect("fails when a variable is set that nobody knows, and names it", () =>
    Effect.gen(function* () {
      for (const name of [
        "MULTISERVER_DIAL_DENY_PRIVAT",
        "MULTISERVER_DIAL_DENY_PRIVATE_",
        "MULTISERVER_DIAL",
        "MULTISERVER_",
        "MULTISERVER__IDLE",
        "MULTISERVER_IDLE_5",
        "multiserver_idle"
      ]) {
        const said = yield* error({ [name]: "true" })
        assert.include(said, "there is no such variable", name)
        if (name.startsWith("MULTISERVER")) assert.include(said, `${name}:`)
        assert.include(yield* error({ [name]: "" }), "there is no such variable", name)
      }
      const meant = "multiserver_idle: there is no such variable; names are in capitals, as MULTISERVER_IDLE;"
      assert.include(yield* error({ multiserver_idle: "1 minute" }), meant)
      const ugly = yield* error({ [`MULTISERVER_\u001b[31m${"x".repeat(1000)}`]: "true" })
      assert.notInclude(ugly, "\u001b")
      assert.isBelow(ugly.length, 400)
    })
  )

  it.effect("fails when an object has them under other keys than their full names, where nobody reads them", () =>
    Effect.gen(function* () {
      for (const object of [
        { MULTISERVER: { IDLE: "5 minutes" } },
        { multiserver: { dialDenyPrivate: true } },
        { Multiserver: {} }
      ]) {
        for (const provider of [
          ConfigProvider.fromUnknown({ ...own, ...object }),
          ConfigProvider.constantCase(ConfigProvider.fromUnknown({ ...own, ...object }))
        ]) {
          assert.include(String(yield* Effect.flip(under(provider, build))), "there is no such variable")
        }
      }
      yield* under(ConfigProvider.fromUnknown({ ...own, MULTISERVER_IDLE: "5 minutes", other: {} }), build)
    })
  )

  it.effect("does not mind variables of others, whatever they say, nor names that only resemble ours", () =>
    byDefault({ ...own, MULTISERVER_ADDRESS: "", MULTISERVERS: "1", MULTISERVER: "1", MY_MULTISERVER_X: "1" }, build)
  )
})

describe("an empty variable", () => {
  it.effect("is an error that names it, of those who read it: it would allow what it was to limit", () =>
    Effect.gen(function* () {
      for (const [name, variable] of all) {
        for (const [, build] of layers) {
          const env: Env = name === "MULTISERVER_SECRET" ? {} : { MULTISERVER_SECRET: bytes }
          const result = yield* Effect.result(byDefault({ ...env, [name]: "" }, build))
          if (result._tag === "Success") continue
          assert.include(String(result.failure), `${name}: it is empty`)
        }
        const layer = layers.find(([layer]) => variable.readBy === layer)?.[1]
        if (layer !== undefined) yield* Effect.flip(byDefault({ [name]: "" }, layer))
        // It reads everything that a program can read.
        const env: Env = name === "MULTISERVER_SECRET" ? {} : { MULTISERVER_SECRET: bytes }
        const error = yield* Effect.flip(byDefault({ ...env, [name]: "" }, everything))
        assert.include(String(error), `${name}: it is empty`)
      }
    })
  )
})

describe("a list of networks", () => {
  const lists = all.filter(([, { form }]) => form === "networks")

  it.effect.each(lists)("%s has no part that is empty: it would be a rule that does not hold", ([name, , [read]]) =>
    Effect.gen(function* () {
      for (const text of [
        ",",
        " ",
        " , ",
        "\t",
        "10.0.0.0/8,,127.0.0.1",
        ",10.0.0.0/8",
        "10.0.0.0/8,,",
        "10.0.0.0/8, ,"
      ]) {
        const error = yield* Effect.flip(byDefault({ [name]: text }, read))
        assert.include(String(error), `${name}: "" is no IP network`, JSON.stringify(text))
      }
      const expected = yield* byDefault({ [name]: "10.0.0.0/8,127.0.0.1" }, read)
      for (const text of ["10.0.0.0/8,127.0.0.1,", " 10.0.0.0/8 , 127.0.0.1 , "]) {
        assert.deepStrictEqual(yield* byDefault({ [name]: text }, read), expected)
      }
    })
  )
})

describe("MULTISERVER_DIAL_DENY_PRIVATE", () => {
  it.live("keeps dials out of this machine, under Effect's default provider", () =>
    Effect.gen(function* () {
      const live = Multiserver.layer(["net"]).pipe(Layer.provide([Net.layer(), Configuration.layerPolicy]), Layer.fresh)
      const dial = Effect.flip(Effect.scoped(Effect.provide(Multiserver.dial("net:127.0.0.1:1"), live)))
      const reason = (env: Env) =>
        Effect.map(byDefault(env, dial), (error) => (error._tag === "DialError" ? error.reason._tag : error._tag))
      assert.strictEqual(yield* reason({}), "Refused")
      assert.strictEqual(yield* reason({ MULTISERVER_DIAL_DENY_PRIVATE: "true" }), "DeniedByPolicy")
      assert.strictEqual(yield* reason({ MULTISERVER_DIAL_DENY_PRIVATE: "ture" }), "ConfigError")
    })
  )
})

/** What shs needs besides. */
const given = Identity.layerEphemeral.pipe(Layer.provideMerge(Sodium.layer))

const shs = Shs.layer().pipe(Layer.provide(Configuration.layerAppKey))

describe("docs/configuration.md", () => {
  const read = (name: string) => fs.readFileSync(new URL(`../${name}`, import.meta.url), "utf8")

  it.effect("has the line by which a program sets its app key, as it stands above", () =>
    Effect.gen(function* () {
      const [code = ""] = /(?<=```ts\n)[\s\S]*?(?=```)/.exec(read("docs/configuration.md")) ?? []
      assert.include(read("test/variables.test.ts"), `\n${code}`)
      const built = (env: Env) =>
        byDefault(env, Effect.scoped(Layer.build(Layer.fresh(shs.pipe(Layer.provide(given))))))
      yield* built({ MULTISERVER_APP_KEY: bytes })
      assert.include(String(yield* Effect.flip(built({ MULTISERVER_APP_KEY: "short" }))), "MULTISERVER_APP_KEY: ")
    })
  )

  it("has the table as the code has it: node scripts/configuration.ts writes it", () => {
    const document = read("docs/configuration.md")
    assert.strictEqual(document, written(document))
    for (const { name } of Object.values(variables)) assert.include(document, `| \`${name}\` |`)
  })

  it("and the other documents name no variable that there is not, but as an example of one", () => {
    const documents = fs.readdirSync(new URL("../docs", import.meta.url)).filter((name) => name.endsWith(".md"))
    const known = new Set<string>(Object.values(variables).map(({ name }) => name))
    for (const name of ["README.md", ...documents.map((each) => `docs/${each}`)]) {
      const unknown = [...read(name).matchAll(/\bMULTISERVER_[A-Z_]*[A-Z]\b/g)]
        .map(([found]) => found)
        .filter((found) => !known.has(found) && found !== "MULTISERVER_DIAL_DENY_PRIVAT")
      assert.deepStrictEqual(unknown, [], name)
    }
  })
})
