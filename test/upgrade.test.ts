/** Moving from shs to noise while serving: examples/upgrade.ts, and what must not get lost on the way. */
import * as path from "node:path"
import { fileURLToPath } from "node:url"
import { assert, describe, it, vi } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { build } from "vite"
import type { Address } from "../src/Address.ts"
import * as AppKey from "../src/AppKey.ts"
import type { Connection } from "../src/Connection.ts"
import * as Sodium from "../src/crypto/Sodium.ts"
import * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Net from "../src/net/Net.ts"
import * as Noise from "../src/noise/Noise.ts"
import * as Policy from "../src/Policy.ts"
import * as Shs from "../src/shs/Shs.ts"
import { appKeyBytes, theirs } from "./interop/setup.ts"
import { echo, pattern, readAll, sameBytes } from "./support/servers.ts"

const live = Multiserver.layer(["net~shs", "net~noise"]).pipe(
  Layer.provide([Net.layer(), Shs.layer(), Noise.layer()]),
  Layer.provide(AppKey.layer(Redacted.make(appKeyBytes))),
  Layer.provide(Layer.succeed(Policy.Policy, { ...Policy.allowAll, order: Policy.prefer("noise", "shs") })),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

/** Serves until it is retired. */
const serving = (target: string) =>
  Effect.gen(function* () {
    const scope = yield* Scope.fork(yield* Effect.scope)
    const listener = yield* Scope.provide(Multiserver.listen(target), scope)
    yield* Effect.forkIn(listener.run(echo), scope)
    const [address] = listener.addresses()
    return { address: address as Address, retire: Scope.close(scope, Exit.void) }
  })

/**
 * Writes and reads back piece by piece, until it is told to end or the other side has ended. What got through, whole.
 */
const talk = (connection: Connection, ended: () => boolean) =>
  Effect.gen(function* () {
    let rounds = 0
    const round = Effect.gen(function* () {
      const piece = pattern(10_000, ++rounds)
      yield* connection.write(piece)
      const back: Array<Uint8Array> = []
      for (let have = 0; have < piece.length; ) {
        for (const chunk of yield* connection.pull) {
          back.push(chunk)
          have += chunk.length
        }
      }
      assert.isTrue(sameBytes(Buffer.concat(back), piece))
    })
    while (!ended()) yield* round
    yield* connection.end
    yield* readAll(connection)
    return rounds
  })

describe("an upgrade", () => {
  it("is told by examples/upgrade.ts", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    await import("../examples/upgrade.ts")
    const said = log.mock.calls.flat()
    log.mockRestore()
    assert.deepStrictEqual(said, [
      "published: net~shs",
      "a peer of today is over net~shs, because that is all there is",
      "published: net~shs and net~noise",
      "npm multiserver 3.8.2 takes the first, and gets 1048576 bytes back",
      "a peer of today is over net~noise now, and the one before is still here: yes",
      "published: net~shs",
      "fallback from net~noise to net~shs: Refused",
      "a peer of today is over net~shs",
      "who was over noise has heard a goodbye: true",
      "published: net~shs and net~noise",
      "published: net~noise",
      'over shs, "one more" was answered, and then came a clean end',
      "over noise, the connection goes on: yes",
      "the old address is Refused",
      "a peer of tomorrow is over net~noise, and the old address is Unsupported"
    ])
  })

  it.live("loses no connection but those of the listener that is retired, and those end cleanly", () =>
    Effect.gen(function* () {
      const shs = yield* serving("net:127.0.0.1:0~shs")
      let over = false
      const olds = yield* Effect.all(Array.from({ length: 10 }, () => Multiserver.dial(shs.address)))
      const before = yield* Effect.forEach(olds, (connection) =>
        Effect.forkChild(Effect.exit(talk(connection, () => false)))
      )

      const npm = yield* theirs
      yield* npm.dial(String(shs.address), { body: { bytes: 4 << 20, seed: 5 } })

      const noise = yield* serving("net:127.0.0.1:0~noise")
      const both = [shs.address, noise.address]
      const news = yield* Effect.all(Array.from({ length: 10 }, () => Multiserver.dial(both)))
      for (const { remote } of news) assert.strictEqual(remote.stack, "net~noise")
      const after = yield* Effect.forEach(news, (connection) => Effect.forkChild(talk(connection, () => over)))

      const exchanged = yield* npm.next("exchanged")
      assert.deepStrictEqual([exchanged.received, exchanged.error], [exchanged.sent, null])
      yield* Effect.sleep("100 millis")

      yield* shs.retire
      for (const fiber of before) {
        const exit = yield* Fiber.join(fiber)
        // In the middle of a round: the goodbye of the other side, or a write that came behind it.
        const error = Exit.isFailure(exit) ? Cause.findError(exit.cause) : undefined
        assert.isTrue(error?._tag === "Success" && Cause.isDone(error.success), String(exit))
      }
      yield* Effect.sleep("100 millis")
      over = true
      for (const fiber of after) assert.isAbove(yield* Fiber.join(fiber), 1)
    }).pipe(Effect.provide(live))
  )

  it.live("falls back only to what was published, and says so", () =>
    Effect.gen(function* () {
      const events: Array<Events.Event> = []
      const peer = Layer.fresh(live).pipe(
        Layer.provide(Events.layer((event) => Effect.sync(() => void events.push(event))))
      )
      const shs = yield* serving("net:127.0.0.1:0~shs")
      const noise = yield* serving("net:127.0.0.1:0~noise")
      const both = [shs.address, noise.address]
      yield* noise.retire
      yield* Effect.gen(function* () {
        const connection = yield* Multiserver.dial(both)
        assert.strictEqual(connection.remote.stack, "net~shs")
        const fallbacks = events.filter((event) => event._tag === "Fallback")
        assert.strictEqual(fallbacks.length, 1)
        const [fallback] = fallbacks
        assert.deepInclude(fallback, { from: "net~noise", to: "net~shs", next: String(shs.address) })
        assert.deepInclude(fallback?.failed, { address: String(noise.address) })
        assert.strictEqual(fallback?.failed.reason._tag, "Refused")
        // Alone, it is refused, whatever listens with shs.
        const alone = yield* Effect.flip(Multiserver.dial(noise.address))
        assert.strictEqual(alone.reason._tag, "Refused")
        // Within one address, nothing is negotiated: a noise peer at the port of shs gets nowhere.
        const crossed = String(shs.address).replace("~shs:", "~noise:")
        const refused = yield* Effect.flip(Multiserver.dial(crossed)).pipe(Effect.timeoutOption("300 millis"))
        assert.isTrue(refused._tag === "None" || refused.value.reason._tag === "HandshakeError")
      }).pipe(Effect.provide(peer))
    }).pipe(Effect.provide(live))
  )
})

// -----------------------------------------------------------------------------
// without a trace
// -----------------------------------------------------------------------------

const root = fileURLToPath(new URL("..", import.meta.url))

/** The modules of ours of which something is in the bundle of a client with these transforms, and what is in it. */
const bundled = async (transforms: ReadonlyArray<"Shs" | "Noise">) => {
  const stacks = transforms.map((name) => `"net~${name.toLowerCase()}"`).join(", ")
  const id = "\0client.ts"
  const source = `
    import { Effect, Layer } from "effect"
    import { Identity, Multiserver, Net, ${transforms.join(", ")}, Sodium } from "${root}src/node.ts"
    const live = Multiserver.layer([${stacks}]).pipe(
      Layer.provide([Net.layer(), ${transforms.map((name) => `${name}.layer()`).join(", ")}]),
      Layer.provide(Identity.layerEphemeral),
      Layer.provide(Sodium.layer)
    )
    Effect.runFork(Effect.scoped(Multiserver.dial(process.argv[2])).pipe(Effect.provide(live)))
  `
  const output = await build({
    root,
    configFile: false,
    logLevel: "silent",
    plugins: [
      {
        name: "client",
        resolveId: (name) => (name === "client" ? id : undefined),
        load: (name) => (name === id ? source : undefined)
      }
    ],
    build: {
      ssr: true,
      write: false,
      minify: false,
      rollupOptions: { input: "client", external: [/^node:/, "sodium-native", "ws", "socks"] }
    },
    ssr: { noExternal: true, external: ["sodium-native", "ws", "socks"] }
  })
  if (Array.isArray(output) || !("output" in output)) return assert.fail("one output")
  const [chunk, ...others] = output.output
  assert.deepStrictEqual(others, [])
  const modules = Object.entries(chunk.modules)
    .filter(([file, { renderedLength }]) => file.startsWith(path.join(root, "src/")) && renderedLength > 0)
    .map(([file]) => path.relative(path.join(root, "src"), file))
  return { code: chunk.code, modules }
}

describe("without a trace", () => {
  it("a client that is built without shs has none of its code, but the schema of its section", async () => {
    const { code, modules } = await bundled(["Noise"])
    assert.include(modules, "noise/Noise.ts")
    assert.deepStrictEqual(
      modules.filter((file) => file.startsWith("shs/")),
      ["shs/section.ts"]
    )
    for (const word of ["ShsHandshake", "BoxSealer", "BoxFrames", "clientHello", "serverVerify", "maxBoxBody"]) {
      assert.notInclude(code, word)
    }
    assert.include(code, "effect-multiserver/Shs")
  })

  it("and one without noise has none of that", async () => {
    const { code, modules } = await bundled(["Shs"])
    assert.include(modules, "shs/Shs.ts")
    assert.deepStrictEqual(
      modules.filter((file) => file.startsWith("noise/")),
      ["noise/section.ts"]
    )
    assert.deepStrictEqual(
      modules.filter((file) => /^(noisepq|xk)\//.test(file)),
      ["noisepq/section.ts"]
    )
    for (const word of ["NoiseHandshake", "NoiseSealer", "effect-multiserver/noise/2"]) assert.notInclude(code, word)
    assert.include(code, "effect-multiserver/Noise")
  })
})
