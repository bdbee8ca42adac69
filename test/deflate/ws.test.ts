import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Address from "../../src/Address.ts"
import * as Deflate from "../../src/deflate/Deflate.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { echo, pattern, sameBytes, served } from "../support/servers.ts"

describe("deflate over a connection without a half close", () => {
  it.live("ends cleanly for who ends first, whose peer can't finish its own stream any more", () =>
    Effect.gen(function* () {
      const [address] = yield* served("ws://127.0.0.1:0~deflate", echo)
      const connection = yield* Multiserver.dial(address as Address.Address)
      yield* connection.write(pattern(1000))
      const chunks: Array<Uint8Array> = []
      while (Buffer.concat(chunks).length < 1000) chunks.push(...(yield* connection.pull))
      assert.isTrue(sameBytes(Buffer.concat(chunks), pattern(1000)))
      yield* connection.end
      assert.isTrue(Cause.isDone(yield* Effect.flip(connection.pull)))
    }).pipe(Effect.provide(Multiserver.layer(["ws~deflate"]).pipe(Layer.provide([WebSocket.layer(), Deflate.layer()]))))
  )
})
