import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Limits from "../../src/Limits.ts"
import * as Multiserver from "../../src/Multiserver.ts"
import * as Memory from "../../src/memory/Memory.ts"
import * as Net from "../../src/net/Net.ts"
import * as Noauth from "../../src/noauth/Noauth.ts"
import { pair, pattern, readAll, sameBytes } from "../support/servers.ts"

const multiserver = (options: Noauth.Options = {}) =>
  Multiserver.layer(["net~noauth", "memory~noauth", "net"]).pipe(
    Layer.provide([Net.layer(), Memory.layer(), Noauth.layer(options)]),
    // The far ends of pairs don't finish by themselves.
    Layer.provide(Limits.layer({ grace: Duration.millis(50) }))
  )

const peers = (target: string) => Effect.map(pair(target), ([near, far]) => [near.peer._tag, far.peer._tag])

describe("noauth", () => {
  it.live("trusts who is in the same process, and knows nobody over loopback unless it is told to", () =>
    Effect.gen(function* () {
      const tags = Effect.all([
        peers("memory:a~noauth"),
        peers("net:127.0.0.1:0~noauth"),
        peers("net:localhost:0~noauth")
      ])
      assert.deepStrictEqual(yield* tags.pipe(Effect.provide(multiserver())), [
        ["Trusted", "Trusted"],
        ["Anonymous", "Anonymous"],
        ["Anonymous", "Anonymous"]
      ])
      const trusting = peers("net:127.0.0.1:0~noauth").pipe(Effect.provide(multiserver({ trustLoopback: true })))
      assert.deepStrictEqual(yield* trusting, ["Trusted", "Trusted"])
    })
  )

  it.live("is insecure anywhere else: before it binds, and before it connects", () =>
    Effect.gen(function* () {
      for (const target of [
        "net:0.0.0.0:0~noauth",
        "net::::0~noauth",
        "net:192.0.2.1:1~noauth",
        "net:10.0.0.1:1~noauth"
      ]) {
        const error = yield* Effect.flip(Multiserver.listen(target))
        assert.strictEqual(error.reason._tag, "Insecure", target)
      }
      for (const target of ["net:192.0.2.1:1~noauth", "net:pub.example:1~noauth", "net:10.0.0.1:1~noauth"]) {
        const error = yield* Effect.flip(Multiserver.dial(target))
        assert.strictEqual(error.reason._tag, "Insecure", target)
        assert.include(error.message, "take shs")
      }
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("is the bare stream on the wire, with a half close, and names itself in the remote address", () =>
    Effect.gen(function* () {
      const [near, far] = yield* pair("net:127.0.0.1:0~noauth")
      assert.match(String(near.remote), /^net:127\.0\.0\.1:\d+~noauth$/)
      yield* Effect.forkChild(Effect.andThen(near.write(pattern(1 << 20)), near.end))
      assert.isTrue(sameBytes(yield* readAll(far), pattern(1 << 20)))
      yield* Effect.andThen(far.write(pattern(10)), far.end)
      assert.isTrue(sameBytes(yield* readAll(near), pattern(10)))
    }).pipe(Effect.provide(multiserver()))
  )
})
