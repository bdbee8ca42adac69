import * as Effect from "effect/Effect"
import * as Noble from "../../src/crypto/Noble.ts"
import { NoisePrimitives } from "../../src/crypto/Primitives.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"

/** The native primitives, for tests of pure code. */
export const primitives = Effect.runSync(Effect.provide(NoisePrimitives, Sodium.layer))

/** The primitives in JavaScript. */
export const portable = Effect.runSync(Effect.provide(NoisePrimitives, Noble.layer))

/** For `describe.each`: what is built on primitives does the same on each of these. */
export const libraries = [
  { library: "libsodium", layer: Sodium.layer, primitives },
  { library: "noble", layer: Noble.layer, primitives: portable }
]
