/** docs/layers.md: its tables are those of the types, and its code is examples/layers.ts, which runs. */
import * as fs from "node:fs"
import * as path from "node:path"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type * as SocketServer from "effect/socket/SocketServer"
import { BrowserIdentity, BrowserMultiserver, BrowserWebSocket, Noble, NobleKem } from "effect-multiserver/browser"
import {
  Configuration,
  Connection,
  Deflate,
  Events,
  Identity,
  type Kem,
  Lookup,
  Memory,
  MessagePorts,
  Multiserver,
  MultiserverSocketServer,
  Net,
  Noauth,
  NodeIdentity,
  NodeKem,
  NodeMultiserver,
  Noise,
  NoisePq,
  Onion,
  PeerMultiserver,
  Policy,
  Primitives,
  Shs,
  Sodium,
  type Transform,
  type Transport,
  Unix,
  WebSocket
} from "effect-multiserver/node"
import * as Recipes from "../examples/layers.ts"
import { primitives } from "./support/primitives.ts"

const read = (name: string) => fs.readFileSync(new URL(`../${name}`, import.meta.url), "utf8")
const page = read("docs/layers.md")

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : false) : false

/** A row of the table, where the layer gives just this, and needs just that. */
const row =
  <Gives, Needs = never>() =>
  <A, E, R>(name: string, needs: string, _layer: Layer.Layer<A, E, R>, _same: Same<[A, R], [Gives, Needs]>) =>
    `\`${name}\` | ${needs} |`

type Secure = Identity.Identity | Primitives.Primitives
type Cryptography = Primitives.Primitives | Primitives.NoisePrimitives
type Sealed = Identity.Identity | Primitives.NoisePrimitives
type Hybrid = Sealed | Kem.Kem

const rows: ReadonlyArray<string> = [
  row<Multiserver.Multiserver, Identity.Identity>()(
    "NodeMultiserver.layer()",
    "`Identity`",
    NodeMultiserver.layer(),
    true
  ),
  row<Multiserver.Multiserver, FileSystem.FileSystem>()(
    "NodeMultiserver.layerConfig()",
    "`FileSystem`",
    NodeMultiserver.layerConfig(),
    true
  ),
  row<Multiserver.Multiserver, Secure | Hybrid>()(
    "NodeMultiserver.layerNoDeps()",
    "`Identity`, `Primitives`, `NoisePrimitives`, `Kem`",
    NodeMultiserver.layerNoDeps(),
    true
  ),
  row<Multiserver.Multiserver, Identity.Identity>()(
    "BrowserMultiserver.layer()",
    "`Identity`",
    BrowserMultiserver.layer(),
    true
  ),
  row<Multiserver.Multiserver, Identity.Identity>()(
    "BrowserMultiserver.layerPostQuantum()",
    "`Identity`",
    BrowserMultiserver.layerPostQuantum(),
    true
  ),
  row<Multiserver.Multiserver, Transport.Transport<"net"> | Transform.Transform<"shs">>()(
    'Multiserver.layer(["net~shs"])',
    '`Transport<"net">`, `Transform<"shs">`: those of its stacks',
    Multiserver.layer(["net~shs"]),
    true
  ),
  row<Multiserver.Multiserver, Multiserver.Multiserver | Lookup.Lookup>()(
    "PeerMultiserver.layer()",
    "`Multiserver`, `Lookup`",
    PeerMultiserver.layer(),
    true
  ),
  row<Lookup.Lookup, Secure>()(
    "Lookup.layer(sources)",
    "`Identity`, `Primitives`, and what its sources need",
    Lookup.layer([]),
    true
  ),
  row<Identity.Identity>()("NodeIdentity.layerEphemeral", "nothing", NodeIdentity.layerEphemeral, true),
  row<Identity.Identity, FileSystem.FileSystem>()(
    "NodeIdentity.layerFileOrCreate(path)",
    "`FileSystem`",
    NodeIdentity.layerFileOrCreate("a"),
    true
  ),
  row<Identity.Identity, FileSystem.FileSystem>()(
    "NodeIdentity.layerConfig",
    "`FileSystem`",
    NodeIdentity.layerConfig,
    true
  ),
  row<Identity.Identity>()("BrowserIdentity.layerEphemeral", "nothing", BrowserIdentity.layerEphemeral, true),
  row<Identity.Identity>()(
    "BrowserIdentity.layerStoredOrCreate()",
    "nothing",
    BrowserIdentity.layerStoredOrCreate(),
    true
  ),
  row<Identity.Identity, FileSystem.FileSystem>()(
    "Identity.layerFile(path)",
    "`FileSystem`",
    Identity.layerFile("a"),
    true
  ),
  row<Identity.Identity, FileSystem.FileSystem | Primitives.Primitives>()(
    "Identity.layerFileOrCreate(path)",
    "`FileSystem`, `Primitives`",
    Identity.layerFileOrCreate("a"),
    true
  ),
  row<Identity.Identity, Primitives.Primitives>()(
    "Identity.layerEphemeral",
    "`Primitives`",
    Identity.layerEphemeral,
    true
  ),
  row<Identity.Identity, Primitives.Primitives>()(
    "Configuration.layerIdentity()",
    "`Primitives`",
    Configuration.layerIdentity(),
    true
  ),
  row<Cryptography>()("Sodium.layer", "nothing", Sodium.layer, true),
  row<Cryptography>()("Noble.layer", "nothing", Noble.layer, true),
  row<Primitives.Primitives>()("Noble.layerNoNoise", "nothing", Noble.layerNoNoise, true),
  row<Kem.Kem>()("NodeKem.layer", "nothing", NodeKem.layer, true),
  row<Kem.Kem>()("NobleKem.layer", "nothing", NobleKem.layer, true),
  row<Transport.Transport<"net">>()("Net.layer()", "nothing", Net.layer(), true),
  row<Transport.Transport<"ws">>()("WebSocket.layer()", "nothing", WebSocket.layer(), true),
  row<Transport.Transport<"wss">>()("WebSocket.layerSecure()", "nothing", WebSocket.layerSecure(), true),
  row<Transport.Transport<"ws">>()("BrowserWebSocket.layer()", "nothing", BrowserWebSocket.layer(), true),
  row<Transport.Transport<"wss">>()("BrowserWebSocket.layerSecure()", "nothing", BrowserWebSocket.layerSecure(), true),
  row<Transport.Transport<"unix">>()("Unix.layer()", "nothing", Unix.layer(), true),
  row<Transport.Transport<"onion">>()("Onion.layer()", "nothing", Onion.layer(), true),
  row<Transport.Transport<"memory">>()("Memory.layer()", "nothing", Memory.layer(), true),
  row<Transport.Transport<"port">>()("MessagePorts.layer(options)", "nothing", MessagePorts.layer({ ports: {} }), true),
  row<Transform.Transform<"shs">, Secure>()("Shs.layer()", "`Identity`, `Primitives`", Shs.layer(), true),
  row<Transform.Transform<"shs">, Secure>()(
    "Shs.layerDialOnly()",
    "`Identity`, `Primitives`",
    Shs.layerDialOnly(),
    true
  ),
  row<Transform.Transform<"noise">, Sealed>()("Noise.layer()", "`Identity`, `NoisePrimitives`", Noise.layer(), true),
  row<Transform.Transform<"noise">, Sealed>()(
    "Noise.layerDialOnly",
    "`Identity`, `NoisePrimitives`",
    Noise.layerDialOnly,
    true
  ),
  row<Transform.Transform<"noisepq">, Hybrid>()(
    "NoisePq.layer()",
    "`Identity`, `NoisePrimitives`, `Kem`",
    NoisePq.layer(),
    true
  ),
  row<Transform.Transform<"noisepq">, Hybrid>()(
    "NoisePq.layerDialOnly",
    "`Identity`, `NoisePrimitives`, `Kem`",
    NoisePq.layerDialOnly,
    true
  ),
  row<Transform.Transform<"noauth">>()("Noauth.layer()", "nothing", Noauth.layer(), true),
  row<Transform.Transform<"deflate">>()("Deflate.layer()", "nothing", Deflate.layer(), true),
  row<SocketServer.SocketServer | MultiserverSocketServer.Listening, Multiserver.Multiserver>()(
    "MultiserverSocketServer.layer(target)",
    "`Multiserver`",
    MultiserverSocketServer.layer("memory:a"),
    true
  ),
  row<Events.Hub>()("Events.layerStream()", "nothing", Events.layerStream(), true)
]

describe("docs/layers.md", () => {
  it("has a row for each layer, with what it needs", () => {
    const [table = ""] = page.split("These have a default")
    const written = [...table.matchAll(/^\|[^|]*\| (.*)$/gm)].map(([, cells]) => cells)
    const own = written.filter((cells) => cells?.startsWith("`") && !cells.startsWith("`NodeServices"))
    assert.deepStrictEqual(own, [...rows])
  })

  it("is examples/layers.ts, cut in pieces", () => {
    const blocks = [...page.matchAll(/```ts\n([\s\S]*?)```/g)].map(([, code]) => code)
    assert.strictEqual(blocks.join("\n"), read("examples/layers.ts"))
  })
})

/** Sends a line and gives what comes back. */
const asked = (target: Multiserver.Target) =>
  Effect.gen(function* () {
    const connection = yield* Multiserver.dial(target)
    yield* connection.write(new TextEncoder().encode("hello"))
    yield* connection.end
    return yield* Connection.stream(connection).pipe(Stream.decodeText, Stream.mkString)
  }).pipe(Effect.scoped)

/** Listens on loopback with this layer, dials itself, and gives what came back. */
const spoken = <E>(layer: Layer.Layer<Multiserver.Multiserver, E>) =>
  Effect.gen(function* () {
    const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
    yield* Effect.forkScoped(listener.run((peer) => Stream.run(Connection.stream(peer), Connection.sink(peer))))
    return yield* asked(listener.addresses())
  }).pipe(Effect.scoped, Effect.provide(layer, { local: true }))

const folder = Effect.provide(
  FileSystem.FileSystem.use((fs) => fs.makeTempDirectoryScoped()),
  NodeServices.layer
)

const environment = (env: Readonly<Record<string, string>>) => ConfigProvider.layer(ConfigProvider.fromEnv({ env }))

describe("its recipes:", () => {
  it.live("a key in a file", () =>
    Effect.gen(function* () {
      const secret = path.join(yield* folder, "secret")
      assert.strictEqual(yield* spoken(Recipes.withKeyFile(secret)), "hello")
      const { mode } = fs.statSync(secret)
      assert.strictEqual(mode & 0o077, 0)
      assert.strictEqual(yield* spoken(Recipes.withKeyFile(secret)), "hello")
    }).pipe(Effect.scoped)
  )

  it.live("everything from the environment", () =>
    Effect.gen(function* () {
      const directory = yield* folder
      const secret = path.join(directory, "secret")
      const { publicKey } = yield* Effect.provide(
        Identity.Identity,
        Layer.fresh(NodeIdentity.layerFileOrCreate(secret)).pipe(Layer.provide(NodeServices.layer))
      )
      const address = `unix:${directory}/socket~shs`
      const env = { MULTISERVER_KEY_FILE: secret, MULTISERVER_LISTEN: address }
      yield* Layer.build(Layer.fresh(Recipes.Server).pipe(Layer.provide(environment(env))))
      const client = NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral))
      const target = `${address}:${Identity.formatPublicKey(publicKey)}`
      assert.strictEqual(yield* Effect.provide(asked(target), client), "hello")
    }).pipe(Effect.scoped)
  )

  it.live("stacks of your own, and no others", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* spoken(Recipes.ownStacks), "hello")
      const error = yield* Effect.flip(
        Effect.scoped(Effect.provide(Multiserver.listen("unix:/a~shs"), Recipes.ownStacks))
      )
      assert.isTrue(error._tag === "ListenError" && error.reason._tag === "Unsupported")
    })
  )

  it.live("siblings don't feed each other", () =>
    Effect.gen(function* () {
      const cause = yield* Effect.flip(Effect.sandbox(spoken(Recipes.lacksPrimitives)))
      assert.include(Cause.pretty(cause), "Primitives (Sodium.layer or Noble.layer gives it)")
      assert.strictEqual(yield* spoken(Recipes.hasPrimitives), "hello")
    })
  )

  it.live("app key, limits and policy are for the layer that they are provided to", () =>
    Effect.gen(function* () {
      const dialed = <E>(layer: Layer.Layer<Multiserver.Multiserver, E>) =>
        Effect.flip(Effect.scoped(Effect.provide(Multiserver.dial(`net:127.0.0.1:1~shs:${key}`), layer))).pipe(
          Effect.map((error) => (Multiserver.isRetryable(error) ? "dialed" : "denied"))
        )
      const key = yield* Effect.provide(Recipes.sayKey, NodeIdentity.layerEphemeral)
      const denying = environment({ MULTISERVER_DIAL_DENY_PRIVATE: "true" })
      assert.strictEqual(yield* dialed(Layer.fresh(Recipes.withSettings).pipe(Layer.provide(denying))), "denied")
      assert.strictEqual(
        yield* dialed(Layer.fresh(Recipes.withSettings).pipe(Layer.provide(environment({})))),
        "dialed"
      )
      // Beside it, a reference is read by nobody.
      const beside = Layer.merge(
        NodeMultiserver.layer().pipe(Layer.provide(NodeIdentity.layerEphemeral)),
        Policy.layer({ dial: { denyPrivate: true } })
      )
      assert.strictEqual(yield* dialed(beside), "dialed")
    })
  )

  it.live("the program's own key is that of its Multiserver, and another one only where it is fresh", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("net:127.0.0.1:0~shs")
      const own = yield* Recipes.sayKey
      assert.include(String(listener.addresses()[0]), `~shs:${own}`)
      assert.strictEqual(yield* Effect.provide(Recipes.sayKey, NodeIdentity.layerEphemeral), own)
      assert.notStrictEqual(yield* Effect.provide(Recipes.sayKey, Layer.fresh(NodeIdentity.layerEphemeral)), own)
    }).pipe(Effect.scoped, Effect.provide(Recipes.withOwnKey))
  )

  it.live("other Primitives than libsodium's", () =>
    Effect.gen(function* () {
      let signed = 0
      const counting = Primitives.layer({
        ...primitives,
        sign: (message, secretKey) => {
          signed += 1
          return primitives.sign(message, secretKey)
        }
      })
      const layer = NodeMultiserver.layerNoDeps().pipe(
        Layer.provide([Identity.layerEphemeral, NodeKem.layer]),
        Layer.provide(counting)
      )
      assert.strictEqual(yield* spoken(layer), "hello")
      assert.isAbove(signed, 0)
    })
  )
})
