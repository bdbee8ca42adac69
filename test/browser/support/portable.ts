/** What a page has of test/support/primitives.ts. */
import * as Effect from "effect/Effect"
import { Kem } from "../../../src/crypto/Kem.ts"
import * as Noble from "../../../src/crypto/Noble.ts"
import * as NobleKem from "../../../src/crypto/NobleKem.ts"
import { Primitives } from "../../../src/crypto/Primitives.ts"

export const libraries = [
  {
    library: "noble",
    layer: Noble.layer,
    primitives: Effect.runSync(Effect.provide(Primitives, Noble.layer)),
    kem: Effect.runSync(Effect.provide(Kem, NobleKem.layer))
  }
]
