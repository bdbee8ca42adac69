/** `NodeMultiserver.layerConfig`: a program that has everything from its environment. */
import * as fs from "node:fs"
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import * as AppKey from "../src/AppKey.ts"
import * as Configuration from "../src/Configuration.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as NodeIdentity from "../src/NodeIdentity.ts"
import * as NodeMultiserver from "../src/NodeMultiserver.ts"
import { primitives } from "./support/primitives.ts"
import { echo, pattern, readAll, sameBytes } from "./support/servers.ts"
import { base64 } from "./support/vectors.ts"

type Env = Readonly<Record<string, string>>

const tls = (name: string) => fileURLToPath(new URL(`./fixtures/tls/${name}`, import.meta.url))

/** The program's layer in this environment, built anew. */
const from = (env: Env, options?: Pick<NodeMultiserver.Options, "authorize">) =>
  Layer.fresh(NodeMultiserver.layerConfig(options)).pipe(
    Layer.provide(NodeServices.layer),
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env })))
  )

/** Files as a deployment has them: a key that only this user can read, and the key and certificate of wss. */
const files = Effect.gen(function* () {
  const directory = yield* FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped())
  const secret = path.join(directory, "secret")
  const tlsKey = path.join(directory, "tls.key")
  fs.writeFileSync(secret, Identity.formatSecretFile(server), { mode: 0o600 })
  fs.writeFileSync(tlsKey, fs.readFileSync(tls("server.key")), { mode: 0o600 })
  return { directory, secret, tlsKey }
}).pipe(Effect.provide(NodeServices.layer))

const [server, friend, stranger] = [1, 2, 3].map((byte) =>
  Identity.fromSeed(primitives, Redacted.make(new Uint8Array(32).fill(byte)))
) as [Identity.KeyPair, Identity.KeyPair, Identity.KeyPair]
const secretOf = ({ secretKey }: Identity.KeyPair) => base64(Redacted.value(secretKey).subarray(0, 32))
const appKey = base64(pattern(32, 9))

/** How a dial ends: with the same bytes back, or with the tag of its innermost reason. */
const dialed = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(target)
    yield* Effect.andThen(connection.write(pattern(1000)), connection.end)
    return sameBytes(yield* readAll(connection), pattern(1000)) ? "echoed" : "changed"
  }).pipe(
    Effect.scoped,
    Effect.catch((error) => {
      const { reason } = error
      return Effect.succeed(reason._tag === "HandshakeError" ? reason.reason._tag : reason._tag)
    })
  )

/** A server of this environment, and the addresses by which it can be dialed. */
const serving = (env: Env, options?: Pick<NodeMultiserver.Options, "authorize">) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(from(env, options))
    const provider = ConfigProvider.fromEnv({ env })
    const target = yield* Configuration.listen.parse(provider)
    const listener = yield* Effect.provide(Multiserver.listen(target), context)
    yield* Effect.forkScoped(listener.run(echo))
    return listener.addresses()
  })

const own = (secret: string): Env => ({
  MULTISERVER_KEY_FILE: secret,
  MULTISERVER_APP_KEY: appKey,
  MULTISERVER_LISTEN: "net:127.0.0.1:0~shs"
})

describe("Configuration.listen", () => {
  it.effect("says which variable is missing", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(Configuration.listen.parse(ConfigProvider.fromEnv({ env: {} })))
      assert.include(error.message, "MULTISERVER_LISTEN: it is not set; name the addresses to listen on")
    })
  )
})

describe("NodeMultiserver.layerConfig", () => {
  it.live("has identity, app key, addresses, allowed keys, certificates and roots from the environment", () =>
    Effect.gen(function* () {
      const { secret, tlsKey } = yield* files
      const addresses = yield* serving({
        ...own(secret),
        MULTISERVER_LISTEN: "net:127.0.0.1:0~shs;wss://127.0.0.1:0~noise",
        MULTISERVER_ALLOWED_KEYS: Identity.formatPublicKey(friend.publicKey),
        MULTISERVER_TLS_KEY_FILE: tlsKey,
        MULTISERVER_TLS_CERT_FILE: tls("server.crt")
      })
      const [net, wss] = addresses
      assert.isDefined(wss)
      assert.include(String(net), `~shs:${Identity.formatPublicKey(server.publicKey)}`)
      const client: Env = {
        MULTISERVER_SECRET: secretOf(friend),
        MULTISERVER_APP_KEY: appKey,
        MULTISERVER_TLS_CA_FILE: tls("ca.crt")
      }
      for (const address of addresses) {
        const ends = (env: Env) => Effect.provide(dialed(address), from(env))
        assert.strictEqual(yield* ends(client), "echoed", String(address))
        assert.strictEqual(yield* ends({ ...client, MULTISERVER_SECRET: secretOf(stranger) }), "Rejected")
        assert.strictEqual(yield* ends({ ...client, MULTISERVER_APP_KEY: base64(pattern(32, 8)) }), "Rejected")
        assert.strictEqual(yield* ends({ ...client, MULTISERVER_DIAL_DENY_PRIVATE: "true" }), "DeniedByPolicy")
      }
      const { MULTISERVER_TLS_CA_FILE: _, ...untrusting } = client
      assert.strictEqual(yield* Effect.provide(dialed(wss as Multiserver.Target), from(untrusting)), "Tls")
    }).pipe(Effect.scoped)
  )

  it.live("refuses a file of roots in which there is no certificate", () =>
    Effect.gen(function* () {
      const env = { MULTISERVER_SECRET: secretOf(friend), MULTISERVER_TLS_CA_FILE: "/dev/null" }
      const error = yield* Effect.flip(Effect.scoped(Layer.build(from(env))))
      assert.include(error.message, "MULTISERVER_TLS_CA_FILE: /dev/null: ")
    })
  )

  it.live("has policy, limits, trusted proxies and origins from the environment", () =>
    Effect.gen(function* () {
      const { secret } = yield* files
      const client: Env = { MULTISERVER_SECRET: secretOf(friend), MULTISERVER_APP_KEY: appKey }
      const ends = (env: Env) =>
        Effect.flatMap(serving({ ...own(secret), ...env }), (addresses) =>
          Effect.provide(dialed(addresses), from(client))
        )
      assert.strictEqual(yield* ends({}), "echoed")
      assert.notStrictEqual(yield* ends({ MULTISERVER_ACCEPT_DENY: "127.0.0.0/8" }), "echoed")
      // What comes from a trusted proxy begins with a header that names the client.
      assert.notStrictEqual(yield* ends({ MULTISERVER_TRUSTED_PROXIES: "127.0.0.1" }), "echoed")
      // There is room for one connection, which stays open.
      const limited = yield* serving({ ...own(secret), MULTISERVER_CONNECTIONS: "1" })
      const first = yield* Layer.build(from(client))
      yield* Effect.provide(Multiserver.dial(limited), first)
      assert.notStrictEqual(yield* Effect.provide(dialed(limited), first), "echoed")
      // A web page of another origin.
      const page = (origin: string) =>
        NodeMultiserver.layer({ webSocket: { origin } }).pipe(
          Layer.provide([
            Layer.succeed(Identity.Identity, friend),
            AppKey.layer(Option.getOrThrow(AppKey.parse(appKey)))
          ])
        )
      const addresses = yield* serving({
        ...own(secret),
        MULTISERVER_LISTEN: "ws://127.0.0.1:0~shs",
        MULTISERVER_ORIGINS: "https://app.example"
      })
      assert.strictEqual(yield* Effect.provide(dialed(addresses), page("https://app.example")), "echoed")
      assert.notStrictEqual(yield* Effect.provide(dialed(addresses), page("https://evil.example")), "echoed")
    }).pipe(Effect.scoped)
  )

  it.live("asks authorize about each peer whose key is allowed, and about no other", () =>
    Effect.gen(function* () {
      const { secret } = yield* files
      const asked: Array<string> = []
      const allowed = [friend, server].map(({ publicKey }) => Identity.formatPublicKey(publicKey))
      const addresses = yield* serving(
        { ...own(secret), MULTISERVER_ALLOWED_KEYS: allowed.join(",") },
        {
          authorize: ({ publicKey }) =>
            Effect.sync(() => {
              const key = Identity.formatPublicKey(publicKey)
              asked.push(key)
              return key === allowed[0]
            })
        }
      )
      const ends = (pair: Identity.KeyPair) =>
        Effect.provide(dialed(addresses), from({ MULTISERVER_SECRET: secretOf(pair), MULTISERVER_APP_KEY: appKey }))
      assert.strictEqual(yield* ends(friend), "echoed")
      assert.strictEqual(yield* ends(server), "Rejected")
      assert.strictEqual(yield* ends(stranger), "Rejected")
      assert.deepStrictEqual(asked, allowed)
    }).pipe(Effect.scoped)
  )

  const failure = (env: Env) => Effect.map(Effect.flip(Effect.scoped(Layer.build(from(env)))), ({ message }) => message)

  it.live("fails when a file can't be used, and names its variable", () =>
    Effect.gen(function* () {
      const { directory, secret, tlsKey } = yield* files
      const absent = path.join(directory, "absent")
      const open = path.join(directory, "open")
      fs.copyFileSync(secret, open)
      fs.chmodSync(open, 0o644)
      const tlsFiles = { MULTISERVER_TLS_KEY_FILE: tlsKey, MULTISERVER_TLS_CERT_FILE: tls("server.crt") }
      const says = (env: Env, ...parts: ReadonlyArray<string>) =>
        Effect.map(failure({ ...own(secret), ...env }), (message) => {
          for (const part of parts) assert.include(message, part)
        })
      yield* says({ MULTISERVER_KEY_FILE: absent }, `MULTISERVER_KEY_FILE: ${absent}: there is no such file`)
      yield* says({ MULTISERVER_KEY_FILE: open }, `MULTISERVER_KEY_FILE: ${open}: its mode is 0644`, "chmod 600")
      yield* says(
        { ...tlsFiles, MULTISERVER_TLS_KEY_FILE: open },
        `MULTISERVER_TLS_KEY_FILE: ${open}: its mode is 0644`
      )
      yield* says({ ...tlsFiles, MULTISERVER_TLS_CERT_FILE: absent }, `MULTISERVER_TLS_CERT_FILE: ${absent}: `)
      yield* says({ MULTISERVER_TLS_CA_FILE: absent }, `MULTISERVER_TLS_CA_FILE: ${absent}: `)
      yield* says(
        { MULTISERVER_TLS_KEY_FILE: tlsKey },
        "MULTISERVER_TLS_KEY_FILE: it needs MULTISERVER_TLS_CERT_FILE too"
      )
      yield* says(
        { MULTISERVER_TLS_CERT_FILE: tls("server.crt") },
        "MULTISERVER_TLS_CERT_FILE: it needs MULTISERVER_TLS_KEY_FILE too"
      )
      // The certificate of another key.
      yield* says(
        { ...tlsFiles, MULTISERVER_TLS_CERT_FILE: tls("pub.crt") },
        "MULTISERVER_TLS_KEY_FILE and MULTISERVER_TLS_CERT_FILE: "
      )
    }).pipe(Effect.scoped)
  )

  it.live("fails without an identity, and with two", () =>
    Effect.gen(function* () {
      const { secret } = yield* files
      assert.include(yield* failure({}), "MULTISERVER_KEY_FILE: there is no identity: ")
      const both = { MULTISERVER_KEY_FILE: secret, MULTISERVER_SECRET: secretOf(friend) }
      assert.include(yield* failure(both), "MULTISERVER_KEY_FILE and MULTISERVER_SECRET: both are set")
    }).pipe(Effect.scoped)
  )

  it.live("reads a key of systemd's credentials whatever its mode, and no other file so", () =>
    Effect.gen(function* () {
      const { directory, secret } = yield* files
      fs.chmodSync(secret, 0o440)
      assert.include(yield* failure({ MULTISERVER_KEY_FILE: secret }), "its mode is 0440")
      yield* Effect.scoped(Layer.build(from({ MULTISERVER_KEY_FILE: secret, CREDENTIALS_DIRECTORY: directory })))
    }).pipe(Effect.scoped)
  )
})

describe("NodeIdentity", () => {
  it.live("needs no Primitives", () =>
    Effect.gen(function* () {
      const { directory } = yield* files
      const file = path.join(directory, "new")
      const made = () => Effect.provide(Identity.Identity, Layer.fresh(NodeIdentity.layerFileOrCreate(file)))
      const first = yield* made()
      assert.strictEqual(secretOf(yield* made()), secretOf(first))
      const ephemeral = yield* Effect.provide(Identity.Identity, NodeIdentity.layerEphemeral)
      assert.notStrictEqual(secretOf(ephemeral), secretOf(first))
    }).pipe(Effect.scoped, Effect.provide(NodeServices.layer))
  )
})
