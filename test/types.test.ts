/** What must not compile: `npm run check` fails when one of these does. */
import { assert, describe, it } from "@effect/vitest"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Net from "../src/net/Net.ts"
import * as Stack from "../src/Stack.ts"
import * as Shs from "../src/shs/Shs.ts"
import type { Transform } from "../src/Transform.ts"
import type { Transport } from "../src/Transport.ts"

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(_: Equals<A, B>) => undefined
const given = <A, E>(layer: Layer.Layer<A, E>) => layer

describe("types", () => {
  it("a list of stacks requires just its protocols", () => {
    const two = Multiserver.layer(["net~shs", "ws~shs~deflate"])
    same<Layer.Services<typeof two>, Transport<"net"> | Transport<"ws"> | Transform<"shs"> | Transform<"deflate">>(true)
    const bare = Multiserver.layer(["net"])
    same<Layer.Services<typeof bare>, Transport<"net">>(true)
    const product = Multiserver.layer(Stack.product(["net", "ws"], ["shs", "noise"]))
    same<Layer.Services<typeof product>, Transport<"net"> | Transport<"ws"> | Transform<"shs"> | Transform<"noise">>(
      true
    )
    assert.deepStrictEqual(Stack.product(["net", "ws"], ["shs", "noise"]), [
      "net~shs",
      "net~noise",
      "ws~shs",
      "ws~noise"
    ])
  })

  it("a stack whose protocol is not provided does not compile", () => {
    // @ts-expect-error shs is missing
    given(Multiserver.layer(["net~shs"]).pipe(Layer.provide(Net.layer())))
    // @ts-expect-error the transport is missing
    given(Multiserver.layer(["ws"]).pipe(Layer.provide(Net.layer())))
    // @ts-expect-error shs needs an identity and the primitives
    given(Multiserver.layer(["net~shs"]).pipe(Layer.provide([Net.layer(), Shs.layer()])))
    // @ts-expect-error a list that is only known at run time names no protocols to require
    given(Multiserver.layer(["net"] as Array<string>).pipe(Layer.provide(Net.layer())))
    given(Multiserver.layer(["net"]).pipe(Layer.provide(Net.layer())))
  })

  it("a secret key is nothing that a public key can be taken for", () => {
    const takesKey = (_: Identity.PublicKey) => undefined
    // @ts-expect-error bytes are no key until they are checked
    takesKey(new Uint8Array(32))
    takesKey(Identity.PublicKey.make(new Uint8Array(32)))
  })

  it("dial leaves only the Multiserver and the scope to be provided", () => {
    type Dial = ReturnType<typeof Multiserver.dial>
    type Needs = Dial extends Effect.Effect<infer _A, infer _E, infer R> ? R : never
    same<Extract<Needs, Multiserver.Multiserver>, Multiserver.Multiserver>(true)
    same<Exclude<Needs, Multiserver.Multiserver>, import("effect/Scope").Scope>(true)
  })
})
