/** RPC over addresses: what a program sees on either side. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Schedule from "effect/Schedule"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/testing/TestClock"
import { DialError } from "../../src/DialError.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as MultiserverRpc from "../../src/rpc/MultiserverRpc.ts"
import { folder } from "../cli/support.ts"
import { chunk, client, handlers, hashOf, serve, somebody, transports } from "./support.ts"

/** 64 MiB. */
const chunks = (64 << 20) / chunk.length

const stacks = {
  "net~shs": Effect.succeed("net:127.0.0.1:0~shs"),
  "ws~noise": Effect.succeed("ws://127.0.0.1:0~noise"),
  "unix~shs": Effect.map(folder, (path) => `unix:${path}/socket~shs`),
  "memory~shs": Effect.succeed("memory:rpc~shs")
}

/** What an RpcClientError says of a dial. */
const dialErrorOf = (error: unknown): DialError => {
  const cause = (error as { readonly reason?: { readonly cause?: unknown } }).reason?.cause
  assert.instanceOf(cause, DialError)
  return cause
}

describe.each(Object.entries(stacks))("RPC over %s", (name, target) => {
  // In memory nothing depends on time but what is said to: there the clock stands still.
  const test = name === "memory~shs" ? it.effect : it.live

  test("calls, streams 64 MiB, uploads them, and interrupts", () =>
    Effect.gen(function* () {
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const { layer, seen } = yield* handlers
      const addresses = yield* serve(server, yield* target, layer)
      const { Bytes, Hang, Put, Upload, WhoAmI } = yield* client(alice, addresses)
      assert.strictEqual(yield* WhoAmI(), alice.key)

      // Down. A reader that has taken one chunk keeps the writer waiting, whatever else is called meanwhile.
      const hash = createHash("sha256")
      yield* Bytes({ chunks }, { streamBufferSize: 1 }).pipe(
        Stream.zipWithIndex,
        Stream.runForEach(([bytes, index]) => {
          hash.update(bytes)
          return index === 0
            ? Effect.repeat(WhoAmI(), Schedule.recurs(20)).pipe(Effect.map(() => assert.isAtMost(seen.sent, 4)))
            : Effect.void
        })
      )
      assert.strictEqual(hash.digest("hex"), hashOf(chunks))

      // Up.
      if (name === "net~shs") {
        const uploading = yield* Effect.forkChild(Upload({ id: 1 }), { startImmediately: true })
        yield* Stream.range(1, chunks).pipe(
          Stream.runForEach(() => Put({ id: 1, bytes: chunk })),
          Effect.andThen(Put({ id: 1, bytes: new Uint8Array() }))
        )
        assert.strictEqual(yield* Fiber.join(uploading), hashOf(chunks))
      }

      // Interrupted by the caller, and by its end.
      const hanging = yield* Effect.forkChild(Hang(), { startImmediately: true })
      assert.strictEqual(yield* Queue.take(seen.hanging), "began")
      yield* Fiber.interrupt(hanging)
      assert.strictEqual(yield* Queue.take(seen.hanging), "interrupted")
      const leaving = yield* Scope.make()
      const other = yield* Scope.provide(client(alice, addresses), leaving)
      yield* Effect.forkChild(Effect.exit(other.Hang()), { startImmediately: true })
      assert.strictEqual(yield* Queue.take(seen.hanging), "began")
      yield* Scope.close(leaving, Exit.void)
      assert.strictEqual(yield* Queue.take(seen.hanging), "interrupted")
    }).pipe(Effect.provide(transports)))

  test("refuses a stranger at once, with the reason, and for good", () =>
    Effect.gen(function* () {
      const [eve, server] = [yield* somebody(), yield* somebody({ authorize: () => Effect.succeed(false) })]
      const { layer } = yield* handlers
      const addresses = yield* serve(server, yield* target, layer)
      const { WhoAmI } = yield* client(eve, addresses)
      for (const _ of [1, 2]) {
        const error = yield* Effect.flip(WhoAmI())
        assert.strictEqual(error._tag, "RpcClientError")
        const cause = dialErrorOf(error)
        assert.include(error.message, cause.message)
        assert.include(cause.message, "it refuses our key")
        assert.isFalse(Multiserver.isRetryable(error))
      }
      const connected = Layer.build(MultiserverRpc.layerProtocolConnected(addresses).pipe(Layer.provide(eve.layer)))
      const error = yield* Effect.flip(Effect.scoped(connected))
      assert.include(error.message, "it refuses our key")
    }).pipe(Effect.provide(transports)))

  test("is there again after the server was", () =>
    Effect.gen(function* () {
      const [alice, server] = [yield* somebody(), yield* somebody()]
      const { layer } = yield* handlers
      const first = yield* Scope.make()
      const addresses = yield* Scope.provide(serve(server, yield* target, layer), first)
      const { WhoAmI } = yield* client(alice, addresses)
      assert.strictEqual(yield* WhoAmI(), alice.key)
      yield* Scope.close(first, Exit.void)
      const error = yield* Effect.flip(WhoAmI())
      assert.strictEqual(error._tag, "RpcClientError")
      yield* serve(server, addresses, layer)
      const retried = Effect.retry(WhoAmI(), Schedule.spaced("20 millis"))
      const again = yield* Effect.forkChild(retried, { startImmediately: true })
      if (name === "memory~shs") yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(again), alice.key)
    }).pipe(Effect.provide(transports)))
})
