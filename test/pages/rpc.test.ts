/** docs/rpc.md: its program, with real peers. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import * as Rpc from "../../examples/rpc.ts"
import * as Connection from "../../src/Connection.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"
import { DialError } from "../../src/DialError.ts"
import * as Events from "../../src/Events.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Net from "../../src/net/Net.ts"
import * as Policy from "../../src/Policy.ts"
import * as Shs from "../../src/shs/Shs.ts"
import * as Unix from "../../src/unix/Unix.ts"
import { folder } from "../cli/support.ts"
import { turns } from "../support/servers.ts"

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
      const serving = yield* Scope.fork(yield* Effect.scope)
      const addresses = yield* server.as(Rpc.serve("net:127.0.0.1:0~shs")).pipe(Scope.provide(serving))

      for (const friend of [alice, bob]) {
        const { Count, WhoAmI } = yield* friend.as(Rpc.connect(addresses))
        assert.strictEqual(yield* WhoAmI(), friend.key)
        assert.deepStrictEqual(yield* Stream.runCollect(Count({ to: 3 })), [1, 2, 3])
      }
      const refused = yield* Effect.flip(eve.as(Rpc.connect(addresses)))
      assert.include(refused.message, "it refuses our key")
      assert.isFalse(Multiserver.isRetryable(refused))

      // One connection, and no other: when it has ended, calls fail.
      const { WhoAmI } = yield* alice.as(Rpc.connect(addresses))
      const bare = yield* alice.as(Multiserver.dial(addresses))
      yield* Scope.close(serving, Exit.void)
      assert.isTrue(Cause.isDone(yield* Effect.flip(bare.pull)))
      assert.strictEqual((yield* Effect.flip(WhoAmI()))._tag, "RpcClientError")
      assert.strictEqual((yield* Effect.flip(WhoAmI()))._tag, "RpcClientError")
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

  it.live("a stack that proves no key gets a defect", () =>
    Effect.gen(function* () {
      const server = yield* somebody()
      const { WhoAmI } = yield* server.as(Effect.flatMap(Rpc.serve("net:127.0.0.1:0"), Rpc.connect))
      assert.include(String(yield* Effect.catchDefect(WhoAmI(), Effect.succeed)), "the stack proves no key")
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.live("a client connects again when the server is back", () =>
    Effect.gen(function* () {
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const socket = `unix:${yield* folder}/socket~shs`
      const serving = yield* Scope.fork(yield* Effect.scope)
      const addresses = yield* server.as(Rpc.serve(socket)).pipe(Scope.provide(serving))

      const { WhoAmI } = yield* alice.as(Rpc.connectAgain(addresses))
      assert.strictEqual(yield* WhoAmI(), alice.key)
      yield* Scope.close(serving, Exit.void)
      assert.strictEqual((yield* Effect.flip(WhoAmI()))._tag, "RpcClientError")
      yield* server.as(Rpc.serve(socket))
      assert.strictEqual(yield* Effect.retry(WhoAmI(), Schedule.spaced("50 millis")), alice.key)
    }).pipe(Effect.provide(Logger.layer([])))
  )

  it.effect(
    "a client that connects again does not do so after a refusal, which is logged and the cause of errors",
    () => {
      const logged: Array<string> = []
      const logger = Logger.make(({ message }) => void logged.push(String(message)))
      return Effect.gen(function* () {
        const [eve, server] = [yield* somebody(), yield* somebody({ authorize: () => Effect.succeed(false) })]
        const addresses = yield* server.as(Rpc.serve("net:127.0.0.1:0~shs"))
        const { WhoAmI } = yield* eve.as(Rpc.connectAgain(addresses))
        const error = yield* Effect.flip(WhoAmI())
        const cause = error._tag === "RpcClientError" && "cause" in error.reason ? error.reason.cause : undefined
        assert.instanceOf(cause, DialError)
        assert.include((cause as DialError).message, "it refuses our key")
        assert.notInclude(error.message, "it refuses our key")
        yield* TestClock.adjust("1 hour")
        yield* turns
        assert.deepStrictEqual(logged, [(cause as DialError).message])
      }).pipe(Effect.provide(Logger.layer([logger])))
    }
  )
})
