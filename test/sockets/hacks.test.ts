/** What is done for speed alone can be turned off, and nothing else changes. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Sodium from "../../src/crypto/Sodium.ts"
import * as Identity from "../../src/Identity.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import { Net, Noise, Shs, SocketHacks } from "../../src/node.ts"
import { reading } from "../../src/sockets/streamSocket.ts"
import { echo, pattern, readAll, sameBytes, served } from "../support/servers.ts"

const off = Layer.mergeAll(
  Layer.succeed(SocketHacks.StaticReads, false),
  Layer.succeed(SocketHacks.Garbage, false),
  Layer.succeed(SocketHacks.HeapBlock, false)
)

const live = Multiserver.layer(["net", "net~shs", "net~noise"]).pipe(
  Layer.provide([Net.layer().pipe(Layer.provide(off)), Shs.layer(), Noise.layer()]),
  Layer.provide(Identity.layerEphemeral),
  Layer.provide(Sodium.layer)
)

describe("SocketHacks", () => {
  it.effect("are read where a transport's layer is built", () =>
    Effect.gen(function* () {
      assert.isFalse((yield* Effect.provide(reading, off)).isStatic)
    })
  )

  it.live.each(["net:127.0.0.1:0", "net:127.0.0.1:0~shs", "net:127.0.0.1:0~noise"])("%s works without them", (target) =>
    Effect.gen(function* () {
      const connection = yield* Effect.flatMap(served(target, echo), Multiserver.dial)
      yield* Effect.forkChild(Effect.andThen(connection.write(pattern(3 << 20)), connection.end))
      assert.isTrue(sameBytes(yield* readAll(connection), pattern(3 << 20)))
    }).pipe(Effect.scoped, Effect.provide(live))
  )
})
