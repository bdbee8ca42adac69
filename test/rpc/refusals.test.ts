/** Whom and what a server of RPC refuses, and what becomes of calls when it stops. All in memory. */
import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Queue from "effect/Queue"
import * as Rpc from "effect/rpc/Rpc"
import * as RpcClient from "effect/rpc/RpcClient"
import * as RpcGroup from "effect/rpc/RpcGroup"
import * as RpcMiddleware from "effect/rpc/RpcMiddleware"
import * as RpcSerialization from "effect/rpc/RpcSerialization"
import * as RpcServer from "effect/rpc/RpcServer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as MultiserverSocketServer from "../../src/bridge/MultiserverSocketServer.ts"
import * as Connection from "../../src/Connection.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as MultiserverRpc from "../../src/rpc/MultiserverRpc.ts"
import { pattern, readAll } from "../support/servers.ts"
import { client, handlers, Procedures, type Somebody, serve, somebody, transports } from "./support.ts"

/** The message of the defect with which an effect fails. */
const defectOf = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(
    effect.pipe(
      Effect.map(() => "no defect"),
      Effect.catchDefect((defect) => Effect.succeed(String(defect)))
    ),
    Effect.succeed
  )

const Account = Schema.Struct({ name: Schema.String })
class Caller extends Context.Service<Caller, typeof Account.Type>()("test/rpc/Caller") {}
class RequireCaller extends RpcMiddleware.Service<RequireCaller, { provides: Caller }>()("test/rpc/RequireCaller", {
  error: MultiserverRpc.NotAdmitted
}) {}
const Accounts = RpcGroup.make(Rpc.make("Name", { success: Schema.String })).middleware(RequireCaller)

const accounts = (program: Somebody, target: Multiserver.Target) =>
  MultiserverRpc.layerProtocolClient(target).pipe(
    Layer.provide(program.layer),
    Layer.build,
    Effect.flatMap((protocol) => Effect.provide(RpcClient.make(Accounts), protocol))
  )

const quietly = Effect.provide([transports, Logger.layer([])])

describe("a server of RPC", () => {
  it.effect("that needs keys doesn't listen on a stack that proves none", () =>
    Effect.gen(function* () {
      const { layer } = yield* handlers
      const error = yield* Effect.flip(serve(yield* somebody(), "memory:bare", layer))
      assert.include(error.message, "a procedure of this group is for peers that have proved their key")
      assert.include(error.message, "add ~shs or ~noise")
    }).pipe(quietly)
  )

  it.effect("over another SocketServer refuses each call of a peer without a key, with a typed error", () =>
    Effect.gen(function* () {
      const { layer, seen } = yield* handlers
      const [alice, server] = [yield* somebody(), yield* somebody()]
      yield* RpcServer.layer(Procedures).pipe(
        Layer.provide([layer, MultiserverRpc.layerRequireKey, RpcServer.layerProtocolSocketServer]),
        Layer.provide([MultiserverSocketServer.layer("memory:bare"), RpcSerialization.layerSchemaBinary()]),
        Layer.provide(server.layer),
        Layer.build
      )
      const { Hang, WhoAmI } = yield* client(alice, "memory:bare")
      for (const call of [WhoAmI(), Hang()]) {
        const error = yield* Effect.flip(Effect.asVoid(call))
        assert.strictEqual(error._tag, "NotAdmitted")
        assert.include(error.message, "the peer has proved no key")
      }
      assert.isTrue(Option.isNone(yield* Queue.poll(seen.hanging)))
    }).pipe(quietly)
  )

  it.effect("gives handlers the value that authorize gave, and refuses a peer that has another", () =>
    Effect.gen(function* () {
      const [alice, bob] = [yield* somebody(), yield* somebody()]
      const server = yield* somebody({
        authorize: ({ publicKey }) =>
          Effect.succeed(
            Option.some(Identity.formatPublicKey(publicKey) === alice.key ? { name: "Alice" } : "somebody")
          )
      })
      const [address] = yield* MultiserverRpc.layerServer(Accounts, "memory:accounts~shs").pipe(
        Layer.provide(Accounts.toLayer({ Name: () => Effect.map(Caller, ({ name }) => name) })),
        Layer.provide(MultiserverRpc.layerAuthorized(RequireCaller, Caller, Schema.is(Account))),
        Layer.provide(server.layer),
        Layer.build,
        Effect.map((context) => Context.get(context, MultiserverSocketServer.Listening).addresses())
      )
      assert.isDefined(address)
      if (address === undefined) return
      assert.strictEqual(yield* (yield* accounts(alice, address)).Name(), "Alice")
      const error = yield* Effect.flip((yield* accounts(bob, address)).Name())
      assert.strictEqual(error._tag, "NotAdmitted")
    }).pipe(quietly)
  )

  it.effect("refuses a call too many of one connection, and no acknowledgement of a stream", () =>
    Effect.gen(function* () {
      const { layer, seen } = yield* handlers
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const addresses = yield* serve(server, "memory:calls~shs", layer, { calls: 2 })
      const { Bytes, Hang, WhoAmI } = yield* client(alice, addresses)
      const hang = Effect.forkChild(Hang(), { startImmediately: true })
      const first = yield* hang
      assert.strictEqual(yield* Queue.take(seen.hanging), "began")
      assert.strictEqual(yield* Stream.runCount(Bytes({ chunks: 5 })), 5)
      // A call whose result nobody wants counts as long as it is worked on.
      const second = yield* Effect.forkChild(Hang(undefined, { discard: true }), { startImmediately: true })
      assert.strictEqual(yield* Queue.take(seen.hanging), "began")
      assert.include(yield* defectOf(WhoAmI()), "at most 2 calls of one connection are worked on at once")
      // Another connection has its own.
      assert.strictEqual(yield* (yield* client(alice, addresses)).WhoAmI(), alice.key)
      for (const fiber of [first, second]) {
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* Queue.take(seen.hanging), "interrupted")
      }
      assert.strictEqual(yield* WhoAmI(), alice.key)
    }).pipe(quietly)
  )

  it.effect("refuses a call with more headers than anybody needs", () =>
    Effect.gen(function* () {
      const { layer } = yield* handlers
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const { WhoAmI } = yield* client(alice, yield* serve(server, "memory:headers~shs", layer))
      const call = (headers: number) =>
        WhoAmI(undefined, { headers: Object.fromEntries(Array.from({ length: headers }, (_, i) => [`x${i}`, ""])) })
      assert.strictEqual(yield* call(128), alice.key)
      assert.include(yield* defectOf(call(129)), "a call has at most 128 headers")
      assert.strictEqual(yield* WhoAmI(), alice.key)
    }).pipe(quietly)
  )

  it.effect("takes messages up to a length, and a longer one is a defect of its own call", () =>
    Effect.gen(function* () {
      const { layer } = yield* handlers
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const addresses = yield* serve(server, "memory:lengths~shs", layer, { maxMessage: 10_000 })
      const { Bytes, Put, WhoAmI } = yield* client(alice, addresses, { maxMessage: 10_000 })
      const long = "is longer than maxMessage, 10000"
      // Of the caller, and of the answer.
      assert.include(yield* defectOf(Put({ id: 1, bytes: pattern(10_001) })), long)
      assert.include(yield* defectOf(Stream.runDrain(Bytes({ chunks: 1 }))), long)
      assert.strictEqual(yield* WhoAmI(), alice.key)

      // A client with another bound, and a peer that speaks no RPC, are broken off. Nobody else is.
      const careless = yield* client(alice, addresses)
      const error = yield* Effect.flip(careless.Put({ id: 1, bytes: pattern(100_000) }))
      assert.strictEqual(error._tag, "RpcClientError")
      const raw = yield* Multiserver.dial(addresses).pipe(Effect.provide(alice.layer))
      yield* Effect.ignore(raw.write(new Uint8Array(100_000).fill(0xff)))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(readAll(raw))))
      assert.strictEqual(yield* WhoAmI(), alice.key)
    }).pipe(quietly)
  )

  // A listener that waited for the stream would wait for an hour.
  it.live("that stops answers the calls that are under way, and cuts off streams", () =>
    Effect.gen(function* () {
      const { layer } = yield* handlers
      const [alice, server] = [yield* somebody(), yield* somebody({}, { grace: Duration.hours(1) })]
      const serving = yield* Scope.make()
      const addresses = yield* Scope.provide(serve(server, "memory:stops~shs", layer), serving)
      const { Bytes, Put, Upload } = yield* client(alice, addresses)
      const uploading = yield* Effect.forkChild(Upload({ id: 1 }), { startImmediately: true })
      yield* Put({ id: 1, bytes: pattern(10) })
      const arrived = yield* Deferred.make<void>()
      const stream = Stream.runForEach(Bytes({ chunks: 1_000_000 }), () => Deferred.succeed(arrived, undefined))
      const streaming = yield* Effect.forkChild(Effect.flip(stream), { startImmediately: true })
      yield* Deferred.await(arrived)
      yield* Put({ id: 1, bytes: new Uint8Array() })
      yield* Scope.close(serving, Exit.void)
      assert.match(yield* Fiber.join(uploading), /^[0-9a-f]{64}$/)
      assert.strictEqual((yield* Fiber.join(streaming))._tag, "RpcClientError")
    }).pipe(quietly)
  )
})

describe("a client of RPC", () => {
  it.effect.each([
    ["that is none", "net:127.0.0.1", "AddressError"],
    ["of a stack that it does not speak", "net:127.0.0.1:8008", "DialError"]
  ] as const)("fails its first call at once for an address %s", ([, target, tag]) =>
    Effect.gen(function* () {
      const { WhoAmI } = yield* client(yield* somebody(), target)
      const error = yield* Effect.flip(WhoAmI())
      const cause = error._tag === "RpcClientError" && "cause" in error.reason ? error.reason.cause : undefined
      assert.propertyVal(cause, "_tag", tag)
      assert.strictEqual((yield* Effect.flip(WhoAmI())).message, error.message)
    }).pipe(quietly)
  )

  it.live("breaks off a connection on which it hears no RPC, and dials again", () =>
    Effect.gen(function* () {
      const [alice, server] = [yield* somebody(), yield* somebody()]
      let connections = 0
      const listener = yield* Multiserver.listen("memory:noise~shs").pipe(Effect.provide(server.layer))
      const second = yield* Queue.unbounded<void>()
      yield* Effect.forkScoped(
        listener.run((connection) =>
          Effect.gen(function* () {
            if (++connections > 1) yield* Queue.offer(second, undefined)
            yield* connection.pull
            yield* connection.write(new Uint8Array(1000).fill(0xff))
            yield* Effect.exit(Connection.broken(connection))
          })
        )
      )
      const { WhoAmI } = yield* client(alice, listener.addresses())
      assert.strictEqual((yield* Effect.flip(WhoAmI()))._tag, "RpcClientError")
      yield* Queue.take(second)
    }).pipe(quietly)
  )
})
