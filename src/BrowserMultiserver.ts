/**
 * A ready-made Multiserver for browsers, workers and what else has a WebSocket of its own: it dials `ws` and `wss`,
 * each encrypted and authenticated. It can't listen.
 */
import * as Layer from "effect/Layer"
import type { Kem } from "./crypto/Kem.ts"
import * as Noble from "./crypto/Noble.ts"
import * as NobleKem from "./crypto/NobleKem.ts"
import type { NoisePrimitives, Primitives } from "./crypto/Primitives.ts"
import type { Identity } from "./Identity.ts"
import * as Multiserver from "./Multiserver.ts"
import * as Noise from "./noise/Noise.ts"
import * as NoisePq from "./noisepq/NoisePq.ts"
import * as Stack from "./Stack.ts"
import * as Shs from "./shs/Shs.ts"
import * as BrowserWebSocket from "./ws/BrowserWebSocket.ts"

/**
 * The stacks that `layer` speaks. For fewer, and a smaller bundle, give `Multiserver.layerDialOnly` a list of your own.
 *
 * @category constants
 * @since 0.1.0
 */
export const stacks = /* @__PURE__ */ Stack.product(["ws", "wss"], ["shs", "noise"])

/**
 * The stacks that `layerPostQuantum` speaks.
 *
 * @category constants
 * @since 0.1.0
 */
export const stacksPostQuantum = /* @__PURE__ */ Stack.product(["ws", "wss"], ["shs", "noise", "noisepq"])

/**
 * The options of the protocols. All are optional.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** For ws and wss. */
  readonly webSocket?: BrowserWebSocket.Options
  readonly shs?: Pick<Shs.Options, "maxBoxBody">
}

/**
 * `layer` without its cryptography: it takes the `Primitives` and `NoisePrimitives` that are provided.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps = (
  options: Options = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives | NoisePrimitives> =>
  Multiserver.layerDialOnly(stacks).pipe(
    Layer.provide([
      BrowserWebSocket.layer(options.webSocket),
      BrowserWebSocket.layerSecure(options.webSocket),
      Shs.layerDialOnly(options.shs),
      Noise.layerDialOnly
    ])
  )

/**
 * A Multiserver that dials `stacks` with the page's `Identity`, in the network of `AppKey`. It needs an `Identity`, and
 * nothing else.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (options: Options = {}): Layer.Layer<Multiserver.Multiserver, never, Identity> =>
  Layer.provide(layerNoDeps(options), Noble.layer)

// -----------------------------------------------------------------------------
// post-quantum
// -----------------------------------------------------------------------------

/**
 * `layerPostQuantum` without its cryptography: it takes the `Primitives`, the `NoisePrimitives` and the `Kem` that are
 * provided.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPostQuantumNoDeps = (
  options: Options = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives | NoisePrimitives | Kem> =>
  Multiserver.layerDialOnly(stacksPostQuantum).pipe(
    Layer.provide([
      BrowserWebSocket.layer(options.webSocket),
      BrowserWebSocket.layerSecure(options.webSocket),
      Shs.layerDialOnly(options.shs),
      Noise.layerDialOnly,
      NoisePq.layerDialOnly
    ])
  )

/**
 * `layer` with the post-quantum stacks besides. Apart from it, because ML-KEM in JavaScript makes a page larger
 * (docs/browser.md).
 *
 * @category layers
 * @since 0.1.0
 */
export const layerPostQuantum = (options: Options = {}): Layer.Layer<Multiserver.Multiserver, never, Identity> =>
  Layer.provide(layerPostQuantumNoDeps(options), [Noble.layer, NobleKem.layer])
