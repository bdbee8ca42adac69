/** A service that nobody has provided: the failure names the layer that gives it. Types: `test/consumers.test.ts`. */
import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import { Primitives } from "../src/crypto/Primitives.ts"
import * as Events from "../src/Events.ts"
import * as Identity from "../src/Identity.ts"
import * as Multiserver from "../src/Multiserver.ts"
import * as Memory from "../src/memory/Memory.ts"
import { primitives } from "./support/primitives.ts"

const pair = Identity.fromSeed(primitives, Redacted.make(new Uint8Array(32)))

/** What a program of plain JavaScript can run: the compiler takes it only by this cast. */
const untyped = <A, E, R>(effect: Effect.Effect<A, E, R>) => effect as Effect.Effect<A, E>

const cases: ReadonlyArray<readonly [string, Effect.Effect<unknown, unknown>, string]> = [
  [
    "Primitives",
    untyped(Primitives),
    "Service not found: effect-multiserver/Primitives (Sodium.layer or Noble.layer gives it)"
  ],
  [
    "an Identity",
    untyped(Identity.Identity),
    "Service not found: effect-multiserver/Identity (Identity.layerFile and other layers of Identity give it)"
  ],
  [
    "a Multiserver",
    untyped(Effect.scoped(Multiserver.dial("memory:a"))),
    "Service not found: effect-multiserver/Multiserver (Multiserver.layer and NodeMultiserver.layer give it)"
  ],
  [
    "a transport",
    untyped(Effect.scoped(Layer.build(Multiserver.layer(["net~shs"])))),
    "Service not found: effect-multiserver/Transport/net (docs/layers.md says which layer gives it)"
  ],
  [
    "a transform",
    untyped(Effect.scoped(Layer.build(Layer.provide(Multiserver.layer(["memory~shs"]), Memory.layer())))),
    "Service not found: effect-multiserver/Transform/shs (docs/layers.md says which layer gives it)"
  ],
  [
    "the hub of events",
    untyped(Stream.runDrain(Events.stream)),
    "Service not found: effect-multiserver/Events/Hub (Events.layerStream gives it)"
  ],
  [
    "a FileSystem, to read",
    untyped(Identity.load("./secret")),
    "Service not found: effect/FileSystem (NodeServices.layer of @effect/platform-node gives it)"
  ],
  [
    "a FileSystem, to write",
    untyped(Identity.save("./secret", pair)),
    "Service not found: effect/FileSystem (NodeServices.layer of @effect/platform-node gives it)"
  ]
]

describe("a program without", () => {
  it.effect.each(cases)("%s says which layer gives it", ([, program, message]) =>
    Effect.gen(function* () {
      const cause = yield* Effect.flip(Effect.sandbox(program))
      assert.include(Cause.pretty(cause), message)
    })
  )
})
