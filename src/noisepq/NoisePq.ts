/**
 * `noisepq`: `noise` with ML-KEM-768 beside X25519, for the same keys and the same app key. Traffic that is recorded
 * today stays secret unless both are broken. Authentication is that of `noise`: it is by X25519 alone.
 *
 * The dialer must know the listener's key. The listener learns the dialer's key in the handshake, and the token of the
 * dialed address if it has one, and asks `authorize` whether the dialer may connect. Specification: docs/noisepq.md.
 * Known limits: no post-quantum authentication; the modifier of Noise that it uses is a draft; sizes and timing are
 * visible; a listener answers a recorded hello that is replayed.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import { Kem } from "../crypto/Kem.ts"
import type { NoisePrimitives } from "../crypto/Primitives.ts"
import type { Options } from "../handshake/authorize.ts"
import type { Identity } from "../Identity.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transform from "../Transform.ts"
import * as Xk from "../xk/transform.ts"
import { profile } from "./XKhfs.ts"

export type { Applicant, Options } from "../handshake/authorize.ts"

const kind = Effect.map(
  Kem,
  (kem): Xk.Kind<Address.NoisePq> => ({
    profile: profile(kem),
    strength: 3,
    section: Schema.toType(Address.NoisePq),
    of: (publicKey) => makeUnchecked(Address.NoisePq, { _tag: "noisepq", publicKey })
  })
)

/**
 * Makes the transform. Needs `Identity`, `NoisePrimitives` and `Kem`, and reads `AppKey`. Most programs use `layer`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R> = {}
): Effect.Effect<Transform.Shape, never, Identity | NoisePrimitives | Kem | R> =>
  Effect.flatMap(kind, (kind) => Xk.make(kind, options))

/**
 * The transform `noisepq` for the process's `Identity`, in the network of `AppKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"noisepq">, never, Identity | NoisePrimitives | Kem | R> =>
  Layer.effect(Transform.Transform("noisepq"), make(options))

/**
 * `layer` for programs that only dial, such as web pages. A bundle that uses it has no code of a listener.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDialOnly: Layer.Layer<
  Transform.Transform<"noisepq">,
  never,
  Identity | NoisePrimitives | Kem
> = Layer.effect(Transform.Transform("noisepq"), Effect.flatMap(kind, Xk.makeDialOnly))
