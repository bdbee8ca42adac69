import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Kem } from "../../src/crypto/Kem.ts"
import * as Noble from "../../src/crypto/Noble.ts"
import * as NobleKem from "../../src/crypto/NobleKem.ts"
import * as NodeKem from "../../src/crypto/NodeKem.ts"
import { NoisePrimitives } from "../../src/crypto/Primitives.ts"
import * as Sodium from "../../src/crypto/Sodium.ts"

/** The native primitives, for tests of pure code. */
export const primitives = Effect.runSync(Effect.provide(NoisePrimitives, Sodium.layer))

/** The primitives in JavaScript. */
export const portable = Effect.runSync(Effect.provide(NoisePrimitives, Noble.layer))

/** The Kem of each layer. Where Node has no ML-KEM, both are the one in JavaScript. */
export const kems = [
  { library: "node:crypto", layer: NodeKem.layer, kem: Effect.runSync(Effect.provide(Kem, NodeKem.layer)) },
  { library: "noble", layer: NobleKem.layer, kem: Effect.runSync(Effect.provide(Kem, NobleKem.layer)) }
] as const

/** For `describe.each`: what is built on primitives does the same on each of these. */
export const libraries = [
  { library: "libsodium", layer: Layer.merge(Sodium.layer, NodeKem.layer), primitives, kem: kems[0].kem },
  { library: "noble", layer: Layer.merge(Noble.layer, NobleKem.layer), primitives: portable, kem: kems[1].kem }
]
