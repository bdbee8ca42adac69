/** A ready-made Multiserver for Node: all transports, each encrypted and authenticated. */
import * as Layer from "effect/Layer"
import * as Sodium from "./crypto/Sodium.ts"
import * as Authorize from "./handshake/authorize.ts"
import type { Identity } from "./Identity.ts"
import * as Multiserver from "./Multiserver.ts"
import * as Memory from "./memory/Memory.ts"
import * as Net from "./net/Net.ts"
import * as Noise from "./noise/Noise.ts"
import * as Onion from "./onion/Onion.ts"
import * as Stack from "./Stack.ts"
import * as Shs from "./shs/Shs.ts"
import * as Unix from "./unix/Unix.ts"
import * as WebSocket from "./ws/WebSocket.ts"

/**
 * The stacks that `layer` speaks. For other stacks, or for plaintext, give `Multiserver.layer` a list of your own.
 *
 * @category constants
 * @since 0.1.0
 */
export const stacks = Stack.product(["net", "ws", "wss", "unix", "onion", "memory"], ["shs", "noise"])

/**
 * What `authorize` is asked about.
 *
 * @category models
 * @since 0.1.0
 */
export type { Applicant } from "./handshake/authorize.ts"

/**
 * The options of the protocols. All are optional. `authorize` is for both shs and noise.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options<E = never, R = never> extends Authorize.Options<E, R> {
  readonly net?: Net.Options
  /** For ws and wss. The credentials and `ca` are for wss. */
  readonly webSocket?: WebSocket.SecureOptions
  readonly onion?: Onion.Options
  readonly shs?: Pick<Shs.Options, "maxBoxBody">
}

/**
 * A Multiserver that speaks `stacks` with the process's `Identity`, in the network of `AppKey`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | R> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([
      Net.layer(options.net ?? {}),
      Memory.layer(),
      Unix.layer(),
      WebSocket.layer(options.webSocket),
      WebSocket.layerSecure(options.webSocket),
      Onion.layer(options.onion),
      Shs.layer({ ...Authorize.withoutToken(options), ...options.shs }),
      Noise.layer(options)
    ]),
    Layer.provide(Sodium.layer)
  )
