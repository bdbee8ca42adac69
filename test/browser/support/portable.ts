/** What a page has of test/support/primitives.ts. */
import * as Effect from "effect/Effect"
import * as Noble from "../../../src/crypto/Noble.ts"
import { Primitives } from "../../../src/crypto/Primitives.ts"

export const libraries = [
  { library: "noble", layer: Noble.layer, primitives: Effect.runSync(Effect.provide(Primitives, Noble.layer)) }
]
