/** What CONTRIBUTING.md says of the walks, and what it says that they answer. */
import { execFile } from "node:child_process"
import * as net from "node:net"
import { fileURLToPath } from "node:url"
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Events from "../src/Events.ts"
import { formatPublicKey, Identity } from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { readsTypes } from "./support/nodes.ts"
import { pair, pattern, protocols, readAll, sameBytes, until } from "./support/servers.ts"

const root = fileURLToPath(new URL("..", import.meta.url))

const Walked = Schema.Struct({
  files: Schema.Array(Schema.Struct({ file: Schema.String })),
  walks: Schema.Array(Schema.Struct({ title: Schema.String, files: Schema.Array(Schema.String) })),
  missing: Schema.Array(Schema.String)
})

/** What `npm run walk` finds. */
const walked = Effect.callback<string>((resume) => {
  execFile(readsTypes, ["scripts/walk.ts", "--json"], { cwd: root, maxBuffer: 1 << 24 }, (_, stdout) =>
    resume(Effect.succeed(stdout))
  )
}).pipe(Effect.flatMap(Schema.decodeUnknownEffect(Schema.fromJsonString(Walked))))

/** What a dial with an echo executes besides: each is a leaf, whose name says all. */
const leaves = [
  "Address.ts",
  "Capacity.ts",
  "Codec.ts",
  "DialPlaces.ts",
  "Lifetime.ts",
  "Multiserver.ts",
  "Networks.ts",
  "Transform.ts",
  "Transport.ts",
  "address/section.ts",
  "codec/stage.ts",
  "codec/wire.ts",
  "connection/operations.ts",
  "crypto/Sodium.ts",
  "crypto/scratch.ts",
  "effectOf.ts",
  "guarded.ts",
  "handshake/authorize.ts",
  "handshake/convertedKeys.ts",
  "handshake/errors.ts",
  "handshake/secrets.ts",
  "handshake/sectionKey.ts",
  "inOwnScope.ts",
  "listen/admission.ts",
  "listen/arrival.ts",
  "listen/pendingHandshakes.ts",
  "listen/sources.ts",
  "monotonic.ts",
  "policy/rules.ts",
  "schema/makeUnchecked.ts",
  "shs/ShsHandshake.ts",
  "sockets/garbage.ts",
  "sockets/heapBlock.ts",
  "sockets/ip.ts",
  "sockets/rooms.ts",
  "sockets/staticRead.ts",
  "sockets/toHost.ts",
  "sourceGroups.ts",
  "spans.ts"
]

describe("the walks", () => {
  it.live("are short, name files that are there, and have all that one dial runs but the leaves", () =>
    Effect.gen(function* () {
      const { files, missing, walks } = yield* walked
      assert.deepStrictEqual(missing, [])
      assert.deepStrictEqual(
        walks.map(({ title }) => title),
        ["A dial", "A listener", "A chunk comes in", "A chunk goes out", "A connection is left"]
      )
      const lengths = walks.map((walk) => walk.files.length)
      for (const [i, most] of [8, 8, 6, 6, 4].entries()) assert.isAtMost(lengths[i] ?? 99, most, walks[i]?.title)
      const executed = new Set(files.map(({ file }) => file))
      const walkedOn = new Set(walks.flatMap((walk) => walk.files))
      const unexecuted = [...walkedOn].filter((file) => !executed.has(file))
      assert.deepStrictEqual(unexecuted.sort(), ["link/readOn.ts", "listen/bindings.ts", "listen/drain.ts"])
      // Garbage is made now and then only.
      const rest = [...executed].filter((file) => !walkedOn.has(file) && file !== "sockets/garbage.ts")
      assert.deepStrictEqual(
        rest.sort(),
        leaves.filter((file) => file !== "sockets/garbage.ts")
      )
    })
  )
})

const multiserver = (events: Array<Events.Event>) =>
  Multiserver.layer(["net~shs"]).pipe(
    Layer.provide(Events.layer((event) => Effect.sync(() => void events.push(event)))),
    Layer.provideMerge(protocols())
  )

/** A server that never answers, and what it sees of the one who dials it. */
const mute = Effect.acquireRelease(
  Effect.callback<{ readonly server: net.Server; readonly seen: Array<string | number>; readonly port: number }>(
    (resume) => {
      const seen: Array<string | number> = []
      const server = net.createServer((socket) => {
        socket.on("data", (chunk) => seen.push(chunk.length))
        socket.on("error", () => {})
        socket.on("close", () => seen.push("closed"))
      })
      server.listen({ host: "127.0.0.1", port: 0 }, () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ server, seen, port }))
      })
    }
  ),
  ({ server }) => Effect.sync(() => server.close())
)

/** How many finalizers a scope has. */
const finalizers = ({ state }: Scope.Scope): number =>
  state._tag !== "Open" ? 0 : (state.finalizers?.size ?? (state.finalizer === undefined ? 0 : 1))

describe("what the walks answer", () => {
  it.live("a dial that is interrupted while it waits for the second message leaves nothing, and says nothing", () => {
    const events: Array<Events.Event> = []
    return Effect.gen(function* () {
      const { port, seen } = yield* mute
      const key = formatPublicKey((yield* Identity).publicKey)
      const scope = yield* Scope.make()
      const dialing = yield* Effect.forkChild(
        Multiserver.dial(`net:127.0.0.1:${port}~shs:${key}`).pipe(Scope.provide(scope))
      )
      // The hello.
      yield* until(() => seen.includes(64))
      yield* Fiber.interrupt(dialing)
      yield* until(() => seen.includes("closed"))
      assert.deepStrictEqual(seen, [64, "closed"])
      const exit = yield* Fiber.await(dialing)
      assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
      assert.strictEqual(finalizers(scope), 0)
      assert.deepStrictEqual(events, [])
    }).pipe(Effect.provide(multiserver(events)))
  })

  it.live("a reader that stalls makes the peer's writer wait, and nothing is lost when it goes on", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~shs")
      const bytes = pattern(64 << 20)
      let written = 0
      const writing = yield* Effect.forkChild(
        Effect.gen(function* () {
          for (let at = 0; at < bytes.length; at += 65_536) {
            yield* near.write(bytes.subarray(at, at + 65_536))
            written = at
          }
          yield* near.end
        })
      )
      // Until what is written has stayed the same for as many looks as it takes a busy machine to pass on what is under
      // way.
      let before = -1
      let looks = 0
      while (looks < 40) {
        yield* Effect.sleep(5)
        looks = written === before ? looks + 1 : 0
        before = written
      }
      assert.isUndefined(writing.pollUnsafe())
      assert.isTrue(sameBytes(yield* readAll(far), bytes))
      yield* Fiber.join(writing)
    }).pipe(Effect.provide(multiserver([])))
  )
})
