/** docs/rpc.md: its program, with real peers. */
import { execFile } from "node:child_process"
import * as path from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Rpc from "../../examples/rpc.ts"
import * as MultiserverSocketServer from "../../src/bridge/MultiserverSocketServer.ts"
import * as Connection from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Policy from "../../src/Policy.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Unix from "../../src/unix/Unix.ts"
import { folder } from "../cli/support.ts"
import { bundle } from "../support/bundle.ts"

/** A program with an identity of its own. */
const somebody = (options: Shs.Options = {}) =>
  Effect.gen(function* () {
    const context = yield* Layer.build(
      Multiserver.layer(["net~shs", "unix~shs", "net"]).pipe(
        Layer.provide([Net.layer(), Unix.layer(), Shs.layer(options)]),
        Layer.provideMerge(Layer.fresh(Identity.layerEphemeral)),
        Layer.provide(Sodium.layer)
      )
    )
    const { publicKey } = yield* Effect.provideContext(Identity.Identity, context)
    return { as: Effect.provideContext(context), key: Identity.formatPublicKey(publicKey) }
  })

describe("docs/rpc.md", () => {
  it.live("a handler knows who calls, and a client that is refused knows why", () =>
    Effect.gen(function* () {
      const [alice, bob, eve] = [yield* somebody(), yield* somebody(), yield* somebody()]
      const { authorize } = yield* Policy.makeKeys([alice.key, bob.key])
      const server = yield* somebody({ authorize })
      const addresses = yield* server.as(Rpc.serve("net:127.0.0.1:0~shs"))

      for (const friend of [alice, bob]) {
        const { Count, WhoAmI } = yield* friend.as(Rpc.connect(addresses))
        assert.strictEqual(yield* WhoAmI(), friend.key)
        assert.deepStrictEqual(yield* Stream.runCollect(Count({ to: 3 })), [1, 2, 3])
      }
      const refused = yield* Effect.flip(eve.as(Rpc.connect(addresses)))
      assert.include(refused.message, "it refuses our key")
      assert.isFalse(Multiserver.isRetryable(refused))
      const call = yield* Effect.flip(eve.as(Rpc.whoAmI(addresses)))
      assert.include(call.message, "it refuses our key")
    })
  )

  it.live("a client whose scope closes after success says goodbye", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<string>()
      const sink = (event: Events.Event) =>
        event._tag === "Closed" && event.role === "listen" ? Deferred.succeed(ended, event.tag) : Effect.void
      const server = yield* somebody().pipe(Effect.provide(Events.layer(sink)))
      const addresses = yield* server.as(Rpc.serve("net:127.0.0.1:0~shs"))
      const alice = yield* somebody()
      const called = alice.as(Effect.flatMap(Rpc.connect(addresses), ({ WhoAmI }) => WhoAmI()))
      assert.strictEqual(yield* Effect.scoped(called), alice.key)
      assert.strictEqual(yield* Deferred.await(ended), "end")
    })
  )

  it.live("a client whose pings nobody answers breaks off its connection, and says no goodbye", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<string>()
      const sink = (event: Events.Event) =>
        event._tag === "Closed" && event.role === "listen" ? Deferred.succeed(ended, event.tag) : Effect.void
      const server = yield* somebody().pipe(Effect.provide(Events.layer(sink)))
      const listener = yield* server.as(Multiserver.listen("net:127.0.0.1:0~shs"))
      yield* Effect.forkScoped(listener.run((connection) => Connection.forEachChunk(connection, () => {})))
      const alice = yield* somebody()
      const called = alice.as(Effect.flatMap(Rpc.connect(listener.addresses()), ({ WhoAmI }) => Effect.exit(WhoAmI())))
      assert.isTrue(Exit.isFailure(yield* Effect.scoped(called)))
      assert.strictEqual(yield* Deferred.await(ended), "Truncated")
    })
  )

  it.live("two processes call and stream, also after a restart, and a stranger is refused", () =>
    Effect.gen(function* () {
      const programs = yield* Effect.promise(() =>
        bundle("rpc", { processes: new URL("../../examples/rpc-processes.ts", import.meta.url) })
      )
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(process.execPath, [path.join(programs, "processes.mjs")])
      )
      assert.deepStrictEqual(stdout.trim().split("\n"), [
        "the server knows us: true",
        "it counts to 1000",
        "it takes 4194304 bytes",
        "a stranger: noise handshake, at accept: the peer hung up after we authenticated: it refuses our key",
        "after a restart it knows us: true"
      ])
    })
  )

  it.live("a stack that proves no key is not listened on", () =>
    Effect.gen(function* () {
      const server = yield* somebody()
      const error = yield* Effect.flip(server.as(Rpc.serve("net:127.0.0.1:0")))
      assert.include(error.message, "this stack proves no key")
    })
  )

  it.live("a client waits for its dial, connects again when the server is back, and uploads", () =>
    Effect.gen(function* () {
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const socket = `unix:${yield* folder}/socket~shs`
      const serving = yield* Scope.fork(yield* Effect.scope)
      const addresses = yield* server.as(Rpc.serve(socket)).pipe(Scope.provide(serving))
      assert.strictEqual(yield* alice.as(Rpc.whoAmI(addresses)), alice.key)

      const { WhoAmI } = yield* alice.as(Rpc.connect(addresses))
      yield* Scope.close(serving, Exit.void)
      assert.strictEqual((yield* Effect.flip(WhoAmI()))._tag, "RpcClientError")
      yield* server.as(Rpc.serve(socket))
      assert.strictEqual(yield* Effect.retry(WhoAmI(), Schedule.spaced("50 millis")), alice.key)

      const other = `unix:${yield* folder}/socket~shs`
      const context = yield* server.as(Layer.build(Rpc.uploadServer(other)))
      const listener = yield* Effect.provideContext(MultiserverSocketServer.Listening, context)
      const bytes = Stream.range(0, 100).pipe(Stream.map((i) => new Uint8Array(i === 50 ? 0 : 1000)))
      assert.strictEqual(yield* alice.as(Rpc.upload(listener.addresses(), bytes)), 100_000)
    }).pipe(Effect.provide(Logger.layer([])))
  )
})
