/**
 * The app key: 32 bytes that name a network, for shs, noise and noisepq. Peers with different app keys can't talk at
 * all.
 *
 * Public for most networks, so it is no password.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { decodeExactly } from "./crypto/base64.ts"

/**
 * 32 bytes that name a network.
 *
 * @category models
 * @since 0.1.0
 */
export type AppKey = Redacted.Redacted<Uint8Array>

const label = "app key"

/**
 * The app key that `Shs.layer`, `Noise.layer` and `NoisePq.layer` read when they are built. By default that of Secure
 * Scuttlebutt's main network. Provide it to these layers, or to anything that contains them.
 *
 * @category references
 * @since 0.1.0
 */
export const AppKey: Context.Reference<AppKey> = Context.Reference("effect-multiserver/AppKey", {
  defaultValue: () => mainNetwork
})

/**
 * An app key from its bytes; none when these are not 32.
 *
 * @category constructors
 * @since 0.1.0
 */
export const fromBytes = (bytes: Uint8Array): Option.Option<AppKey> =>
  bytes.length === 32 ? Option.some(Redacted.make(new Uint8Array(bytes), { label })) : Option.none()

/**
 * An app key from base64 of 32 bytes; none when the text is anything else.
 *
 * @category constructors
 * @since 0.1.0
 */
export const parse = (text: string): Option.Option<AppKey> =>
  Option.flatMap(Option.fromUndefinedOr(decodeExactly(text, 32)), fromBytes)

/**
 * The app key of Secure Scuttlebutt's main network.
 *
 * @category constants
 * @since 0.1.0
 */
export const mainNetwork: AppKey = Option.getOrThrow(parse("1KHLiKZvAvjbY1ziZEHMXawbCEIM6qwjCDm3VYRan/s="))

/**
 * The bytes of the app key that is provided, for authors of transforms. An app key that is not 32 bytes long is a
 * defect: no other network is spoken in its place.
 *
 * @category accessors
 * @since 0.1.0
 */
export const bytes: Effect.Effect<Uint8Array> = Effect.flatMap(AppKey, (appKey) => {
  const bytes = Redacted.value(appKey)
  return bytes.length === 32
    ? Effect.succeed(bytes)
    : Effect.die(new RangeError(`an app key has 32 bytes, and this one has ${bytes.length}`))
})

/**
 * Provides the app key to everything that is built with this layer.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (appKey: AppKey): Layer.Layer<never> => Layer.succeed(AppKey, appKey)
