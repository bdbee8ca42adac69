/**
 * `noise`: mutual authentication by the same Ed25519 keys as shs, in Noise's XKpsk0 handshake, and then large sealed
 * frames. Both peers need the same app key, and the same transforms above `noise`.
 *
 * The dialer must know the listener's key. The listener learns the dialer's key in the handshake, and the token of the
 * dialed address if it has one, and asks `authorize` whether the dialer may connect. Specification: docs/noise.md.
 * Known limits: no post-quantum part; sizes and timing are visible; a listener answers a recorded hello that is
 * replayed.
 */
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as Address from "../Address.ts"
import type { NoisePrimitives } from "../crypto/Primitives.ts"
import type { Options } from "../handshake/authorize.ts"
import type { Identity } from "../Identity.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"
import * as Transform from "../Transform.ts"
import * as Xk from "../xk/transform.ts"
import { profile } from "./XKpsk0.ts"

export type { Applicant, Options } from "../handshake/authorize.ts"

const kind: Xk.Kind<Address.Noise> = {
  profile,
  strength: 2,
  section: Schema.toType(Address.Noise),
  of: (publicKey) => makeUnchecked(Address.Noise, { _tag: "noise", publicKey })
}

/**
 * Makes the transform. Needs `Identity` and `NoisePrimitives`, and reads `AppKey`. Most programs use `layer`.
 *
 * @category constructors
 * @since 0.1.0
 */
export const make = <E = never, R = never>(
  options: Options<E, R> = {}
): Effect.Effect<Transform.Shape, never, Identity | NoisePrimitives | R> => Xk.make(kind, options)

/**
 * The transform `noise` for the process's `Identity`, in the network of `AppKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Transform.Transform<"noise">, never, Identity | NoisePrimitives | R> =>
  Layer.effect(Transform.Transform("noise"), make(options))

/**
 * `layer` for programs that only dial, such as web pages. A bundle that uses it has no code of a listener.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerDialOnly: Layer.Layer<Transform.Transform<"noise">, never, Identity | NoisePrimitives> = Layer.effect(
  Transform.Transform("noise"),
  Xk.makeDialOnly(kind)
)
