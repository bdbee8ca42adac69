/** `support/primitives.ts` where there is no libsodium. */
import * as Effect from "effect/Effect"
import { Kem } from "../../../src/crypto/Kem.ts"
import * as Noble from "../../../src/crypto/Noble.ts"
import * as NobleKem from "../../../src/crypto/NobleKem.ts"
import { NoisePrimitives } from "../../../src/crypto/Primitives.ts"

export const portable = Effect.runSync(Effect.provide(NoisePrimitives, Noble.layer))
const kem = Effect.runSync(Effect.provide(Kem, NobleKem.layer))
export const libraries = [{ library: "noble", layer: Noble.layer, primitives: portable, kem }]
