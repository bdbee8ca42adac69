/** What values print as, in a log and at a breakpoint: what they are, and nothing secret. */
import * as util from "node:util"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Redacted from "effect/Redacted"
import * as Scope from "effect/Scope"
import { format } from "../src/Address.ts"
import { isConnection } from "../src/Connection.ts"
import { formatPublicKey, fromSeed } from "../src/Identity.ts"
import { isListener } from "../src/Listener.ts"
import * as Multiserver from "../src/Multiserver.ts"
import { primitives } from "./support/primitives.ts"
import { echo, multiserver, pattern } from "./support/servers.ts"

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
      const text = format(address as NonNullable<typeof address>)
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

  it("a key pair, with its public key only", () => {
    const pair = fromSeed(primitives, Redacted.make(pattern(32)))
    const text = formatPublicKey(pair.publicKey)
    prints(pair, `KeyPair(${text}, <redacted:secret key>)`)
    assert.deepStrictEqual(JSON.parse(JSON.stringify(pair)), { _id: "KeyPair", publicKey: text })
  })
})
