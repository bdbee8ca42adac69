/** What values print as, in a log and at a breakpoint: what they are, and nothing secret. */
import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import * as Scope from "effect/Scope"
import * as Address from "../src/Address.ts"
import { isConnection } from "../src/Connection.ts"
import { formatPublicKey, fromSeed } from "../src/Identity.ts"
import { isListener } from "../src/Listener.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Transport from "../src/Transport.ts"
import { primitives } from "./support/primitives.ts"
import { echo, multiserver, pattern, protocols } from "./support/servers.ts"

const prints = (value: object, expected: string) => {
  assert.strictEqual(String(value), expected)
  assert.strictEqual(util.inspect(value), expected)
}

describe("values print as what they are:", () => {
  it.live("a listener and a connection, with their addresses and their states", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const listener = yield* Scope.provide(Multiserver.listen("memory:printed~shs"), scope)
      const running = yield* Effect.forkIn(listener.run(echo), scope)
      const [address] = listener.addresses()
      const text = Address.format(address as NonNullable<typeof address>)
      prints(listener, `Listener(${text}, bound)`)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(listener)), {
        _id: "Listener",
        addresses: [text],
        state: "bound"
      })

      const own = yield* Scope.make()
      const connection = yield* Scope.provide(Multiserver.dial(text), own)
      prints(connection, `Connection(${text}, open)`)
      assert.deepStrictEqual(JSON.parse(JSON.stringify(connection)), { _id: "Connection", remote: text, state: "open" })
      yield* Scope.close(own, Exit.void)
      prints(connection, `Connection(${text}, closed)`)

      assert.isTrue(isConnection(connection) && isListener(listener))
      assert.isFalse(isConnection(listener) || isListener(connection) || isConnection({ ...connection }))
      yield* Scope.close(scope, Exit.void)
      prints(listener, `Listener(${text}, draining)`)
      assert.isDefined(running.pollUnsafe())
    }).pipe(Effect.provide(multiserver()))
  )

  it.live("a listener whose transport's code throws, and what inherits from a connection", () =>
    Effect.gen(function* () {
      const listener = yield* Multiserver.listen("odd:x")
      prints(listener, "Listener(, bound)")
      assert.deepStrictEqual(JSON.parse(JSON.stringify(listener)), { _id: "Listener", addresses: [], state: "bound" })
      yield* Multiserver.listen("memory:m")
      const connection = yield* Multiserver.dial("memory:m")
      assert.include(String(Object.create(connection)), "closed")
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Multiserver.layer(["odd", "memory"]).pipe(
          Layer.provide(
            Transport.layer("odd", {
              section: Address.section("odd", Schema.String),
              reach: () => "device",
              advertise: () => {
                throw new Error("the author's fault")
              },
              dial: () => Effect.never,
              listen: () => Effect.succeed({ section: new Address.Opaque({ name: "odd", data: ":x" }) })
            })
          ),
          Layer.provide(protocols())
        )
      )
    )
  )

  it("a key pair, with its public key only", () => {
    const pair = fromSeed(primitives, Redacted.make(pattern(32)))
    const text = formatPublicKey(pair.publicKey)
    prints(pair, `KeyPair(${text}, <redacted:secret key>)`)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(pair)), { _id: "KeyPair", publicKey: text })
  })
})
