/**
 * Which of several addresses is dialed first: the one that npm multiserver 3.8.2 dials, or a documented stricter
 * choice.
 */
import { createRequire } from "node:module"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Multiserver from "../../src/Multiserver.ts"
import * as WebSocket from "../../src/ws/WebSocket.ts"
import { plugins } from "../support/npmAddress.ts"
import { protocols } from "../support/servers.ts"

interface Compose {
  readonly parse: (address: string) => unknown
}
const compose: (plugins: ReadonlyArray<unknown>) => Compose = createRequire(import.meta.url)("multiserver/compose")

const pair = { publicKey: Buffer.alloc(32), secretKey: Buffer.alloc(64) }
const shs = plugins.shs({ keys: pair, auth: () => {} })
const stacks = [compose([plugins.net({ port: 1 }), shs]), compose([plugins.ws({}), shs])]

/** 3.8.2 takes the first address that one of its stacks parses. */
const theirs = (addresses: ReadonlyArray<string>): string | undefined =>
  addresses.find((address) => stacks.some((stack) => stack.parse(address)))

/** What ours dials with the same stacks: the first that is understood. */
const ours = (addresses: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    let first: string | undefined
    const plan = (understood: ReadonlyArray<unknown>) => {
      first = understood[0] === undefined ? undefined : String(understood[0])
      return []
    }
    yield* Effect.flip(Multiserver.dial(addresses, { plan }))
    return first
  }).pipe(
    Effect.scoped,
    Effect.provide(Multiserver.layer(["net~shs", "ws~shs"]).pipe(Layer.provide([protocols(), WebSocket.layer()])))
  )

const key = Buffer.alloc(32, 9).toString("base64")
const net = `net:h:8008~shs:${key}`
const ws = `ws://h~shs:${key}`

const same: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["the order of the addresses is the preference, not that of the stacks", [ws, net]],
  ["the other way round", [net, ws]],
  ["a transport that is not spoken", [`onion:${"a".repeat(56)}.onion:1~shs:${key}`, ws]],
  ["a transform that is not spoken", [`net:h:8008~shs2:${key}`, net]],
  ["an unknown protocol", [`xyz:1:2:3~shs:${key}`, ws, net]],
  ["IPv6, bare", [`net:::1:8008~shs:${key}`, ws]],
  ["a seed", [`net:h:8008~shs:${key}:${Buffer.alloc(32, 8).toString("base64")}`, ws]],
  ["an escape", [`ws://h/a!~b~shs:${key}`, net]]
]

/** Where 3.8.2 takes what nobody means. */
const stricter: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
  ["a section is missing: 3.8.2 would play the listener, and take any key", ["net:h:8008", ws], ws],
  ["the key is missing, on which 3.8.2 throws", ["net:h:8008~shs", ws], ws]
]

describe("of several addresses", () => {
  it.live.each(same)("ours dials what 3.8.2 dials: %s", ([, addresses]) =>
    Effect.gen(function* () {
      const expected = theirs(addresses)
      const dialed = yield* ours(addresses)
      // A seed is not printed.
      assert.strictEqual(dialed?.replace(":<redacted>", ""), expected?.replace(/(shs:[^:]*):.*/, "$1"))
    })
  )

  it.live.each(stricter)("ours is stricter: %s", ([, addresses, expected]) =>
    Effect.map(ours(addresses), (dialed) => assert.strictEqual(dialed, expected))
  )
})
