/** `support/primitives.ts` where there is no libsodium. */
import * as Effect from "effect/Effect"
import * as Noble from "../../../src/crypto/Noble.ts"
import { NoisePrimitives } from "../../../src/crypto/Primitives.ts"

export const portable = Effect.runSync(Effect.provide(NoisePrimitives, Noble.layer))
export const libraries = [{ library: "noble", layer: Noble.layer, primitives: portable }]
