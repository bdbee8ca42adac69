import * as Effect from "effect/Effect"
import { Primitives } from "../../src/crypto/Primitives.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"

/** The native primitives, for tests of pure code. */
export const primitives = Effect.runSync(Effect.provide(Primitives, Sodium.layer))
