/** An invite in the older form, `HOST:PORT:@KEY.ed25519~SEED`, wherever a command takes an address to dial. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Identity from "../../src/Identity.ts"
import { primitives } from "../support/primitives.ts"
import { inside, listenInside, startInside } from "./inside.ts"
import { folder } from "./support.ts"

const seed = Buffer.alloc(32, 5)

/** A listener that lets in the key of the seed and no other, and the invite to it. */
const invited = Effect.gen(function* () {
  const allow = Identity.formatPublicKey(Identity.fromSeed(primitives, Redacted.make(seed)).publicKey)
  const { address } = yield* listenInside("net:127.0.0.1:0~shs", "--echo", "--allow", allow)
  const invite = address.replace(/^net:(.*)~shs:(.*)$/, `$1:@$2.ed25519~${seed.toString("base64")}`)
  const file = join(yield* folder, "invite")
  writeFileSync(file, ` "${invite}#https://pub.example/"\n`)
  return {
    address,
    /** The ways to give it: arguments and variables. */
    ways: [
      { way: "an argument", args: [invite], env: {} },
      { way: "a file", args: ["--address-file", file], env: {} },
      { way: "the variable", args: [], env: { MULTISERVER_ADDRESS: `'${invite}'` } }
    ]
  }
})

describe.concurrent("an invite in the older form", () => {
  it.live("is dialed by connect and probe, and explained by address, however it is given", () =>
    Effect.gen(function* () {
      const { address, ways } = yield* invited
      for (const { args, env, way } of ways) {
        const connected = yield* inside(["connect", ...args], { env, input: "hello" })
        assert.strictEqual(connected.code, 0, way)
        assert.strictEqual(String(connected.stdout), "hello", way)

        const probed = yield* inside(["probe", "--json", ...args], { env })
        assert.strictEqual(probed.code, 0, way)
        assert.deepInclude(JSON.parse(String(probed.stdout)), { address: `${address}:<redacted>`, reached: true }, way)

        const explained = yield* inside(["address", "--json", ...args], { env })
        assert.strictEqual(explained.code, 0, way)
        assert.deepInclude(
          JSON.parse(String(explained.stdout)).addresses[0],
          { address: `${address}:<redacted>`, stack: "net~shs" },
          way
        )
      }
    })
  )

  it.live("is what bridge dials, however it is given", () =>
    Effect.gen(function* () {
      const { ways } = yield* invited
      for (const { args, env, way } of ways) {
        const bridge = yield* startInside(["bridge", "--json", "net:127.0.0.1:0", ...args], { env })
        const { code, stdout } = yield* inside(["connect", yield* bridge.address], { input: "hello" })
        assert.strictEqual(code, 0, way)
        assert.strictEqual(String(stdout), "hello", way)
      }
    })
  )

  it.live("to an onion service is read as one", () =>
    Effect.gen(function* () {
      const name = `${"a".repeat(55)}d`
      const key = Buffer.alloc(32, 3).toString("base64")
      const { code, stdout } = yield* inside([
        ...["address", "--json", `${name}.onion:8008:@${key}.ed25519~${seed.toString("base64")}`]
      ])
      assert.strictEqual(code, 0)
      assert.strictEqual(JSON.parse(String(stdout)).addresses[0].stack, "onion~shs")
    })
  )
})
