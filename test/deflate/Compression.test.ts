import * as zlib from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../../src/Address.ts"
import * as Compression from "../../src/deflate/Compression.ts"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Transform from "../../src/Transform.ts"
import { echo, pair, pattern, protocols, readAll, served, turns, until } from "../support/servers.ts"

/** Brotli, for once, and a list of every stream that it has made. */
const brotli = () => {
  const streams: Array<Compression.Zlib> = []
  const kept = (stream: Compression.Zlib) => {
    streams.push(stream)
    return stream
  }
  const wrap = Compression.wrap(new Address.Opaque({ name: "br", data: "" }), {
    compress: () => kept(zlib.createBrotliCompress({ flush: zlib.constants.BROTLI_OPERATION_FLUSH })),
    decompress: () => kept(zlib.createBrotliDecompress())
  })
  const transform = Transform.layer("br", {
    section: Address.section("br", Schema.Literal("")),
    authenticates: false,
    outbound: wrap,
    inbound: wrap
  })
  return {
    streams,
    live: Multiserver.layer(["memory~br"]).pipe(
      Layer.provide([transform, protocols()]),
      Layer.provide(Limits.layer({ grace: Duration.millis(50) }))
    )
  }
}

describe("a transform of two zlib streams", () => {
  it.live("makes them when they are first used", () => {
    const { live, streams } = brotli()
    return Effect.gen(function* () {
      const [near, far] = yield* pair("memory:m~br")
      yield* turns
      assert.strictEqual(streams.length, 0)
      yield* near.write(pattern(10))
      yield* far.pull
      assert.strictEqual(streams.length, 2)
    }).pipe(Effect.provide(live))
  })

  it.live("leaves none of them behind: after an end, a failure, or an interruption at any moment", () => {
    const { live, streams } = brotli()
    return Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const [address] = yield* served("memory:m~br", echo)
        const used = Effect.gen(function* () {
          const connection = yield* Multiserver.dial(address as Address.Address)
          yield* connection.write(pattern(20_000))
          yield* connection.end
          return yield* readAll(connection)
        })
        yield* Effect.scoped(used)
        for (let i = 0; i < 40; i++) {
          const fiber = yield* Effect.forkChild(Effect.scoped(used))
          yield* Effect.sleep(i / 4)
          yield* Fiber.interrupt(fiber)
        }
        const scope = yield* Scope.make()
        const connection = yield* Scope.provide(Multiserver.dial(address as Address.Address), scope)
        yield* connection.write(pattern(20_000))
        yield* connection.pull
        yield* Scope.close(scope, Exit.fail("no"))
      }).pipe(Effect.scoped)
      assert.isAbove(streams.length, 20)
      // They close on threads.
      yield* until(() => streams.every((stream) => stream.destroyed && stream.closed))
    }).pipe(Effect.provide(live))
  })
})
