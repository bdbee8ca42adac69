/** A ready-made Multiserver for Node: all transports, each encrypted and authenticated. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Layer from "effect/Layer"
import * as Configuration from "./Configuration.ts"
import type { Kem } from "./crypto/Kem.ts"
import * as NodeKem from "./crypto/NodeKem.ts"
import type { NoisePrimitives, Primitives } from "./crypto/Primitives.ts"
import * as Sodium from "./crypto/Sodium.ts"
import * as Authorize from "./handshake/authorize.ts"
import type { Identity, IdentityError } from "./Identity.ts"
import * as Multiserver from "./Multiserver.ts"
import * as Memory from "./memory/Memory.ts"
import type * as Networks from "./Networks.ts"
import * as NodeIdentity from "./NodeIdentity.ts"
import * as Net from "./net/Net.ts"
import * as Noise from "./noise/Noise.ts"
import * as NoisePq from "./noisepq/NoisePq.ts"
import * as Onion from "./onion/Onion.ts"
import type * as Policy from "./Policy.ts"
import * as Stack from "./Stack.ts"
import * as Shs from "./shs/Shs.ts"
import * as TlsFiles from "./tlsFiles.ts"
import * as Unix from "./unix/Unix.ts"
import { check } from "./variables.ts"
import * as WebSocket from "./ws/WebSocket.ts"

/**
 * The stacks that `layer` speaks. For other stacks, or for plaintext, give `Multiserver.layer` a list of your own.
 *
 * @category constants
 * @since 0.1.0
 */
export const stacks = Stack.product(["net", "ws", "wss", "unix", "onion", "memory"], ["shs", "noise", "noisepq"])

/**
 * What `authorize` is asked about.
 *
 * @category models
 * @since 0.1.0
 */
export type { Applicant } from "./handshake/authorize.ts"

/**
 * The options of the protocols. All are optional. `authorize` is for each of shs, noise and noisepq.
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
 * `layer` without its cryptography: it takes the `Primitives`, the `NoisePrimitives` and the `Kem` that are provided.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerNoDeps = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | Primitives | NoisePrimitives | Kem | R> =>
  Multiserver.layer(stacks).pipe(
    Layer.provide([
      Net.layer(options.net ?? {}),
      Memory.layer(),
      Unix.layer(),
      WebSocket.layer(options.webSocket),
      WebSocket.layerSecure(options.webSocket),
      Onion.layer(options.onion),
      Shs.layer({ ...Authorize.withoutToken(options), ...options.shs }),
      Noise.layer(options),
      NoisePq.layer(options)
    ])
  )

/**
 * A Multiserver that speaks `stacks` with the process's `Identity`, in the network of `AppKey`. It needs an `Identity`
 * and what `authorize` needs, and nothing else.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <E = never, R = never>(
  options: Options<E, R> = {}
): Layer.Layer<Multiserver.Multiserver, never, Identity | Exclude<R, Primitives | NoisePrimitives | Kem>> =>
  Layer.provide(layerNoDeps(options), [Sodium.layer, NodeKem.layer])

// -----------------------------------------------------------------------------
// from the environment
// -----------------------------------------------------------------------------

const settings = Config.all({
  keys: Configuration.allowedKeys,
  origins: WebSocket.configOrigins,
  trustedProxies: Configuration.trustedProxies,
  tls: TlsFiles.config
})

/** Lets in a peer that holds one of the keys, if `authorize` lets it in too. */
const onlyKeys =
  <E, R>(
    keys: Policy.Keys,
    authorize: Authorize.Options<E, R>["authorize"] = () => Effect.succeed(true)
  ): NonNullable<Authorize.Options<E, R>["authorize"]> =>
  (applicant) =>
    Effect.flatMap(keys.authorize(applicant), (isOne) => (isOne ? authorize(applicant) : Effect.succeed(false)))

/**
 * `layer` with its identity and everything else that docs/configuration.md lists for programs: the app key, the allowed
 * keys, the limits, the policy, the trusted proxies, the origins of web pages, and the files for wss. They are read
 * once, when the layer is built. `Configuration.listen` has the addresses to listen on.
 *
 * `authorize` is asked about each peer whose key is allowed. The layer fails when a variable is unknown, is empty or
 * can't be obeyed. `NodeServices.layer` of `@effect/platform-node` gives the `FileSystem`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerConfig = <E = never, R = never>({
  authorize
}: Pick<Options<E, R>, "authorize"> = {}): Layer.Layer<
  Multiserver.Multiserver,
  Config.ConfigError | IdentityError | Networks.NetworkError,
  FileSystem.FileSystem | Exclude<Exclude<R, Primitives | NoisePrimitives | Kem>, Identity>
> =>
  Layer.unwrap(
    Effect.gen(function* () {
      yield* check(({ readBy }) => readBy !== undefined)
      const { keys, origins, tls, trustedProxies } = yield* settings
      const credentials = yield* TlsFiles.liveCredentials(tls)
      const decide = keys === undefined ? authorize : onlyKeys(keys, authorize)
      return layer({
        ...(decide && { authorize: decide }),
        net: { trustedProxies },
        webSocket: {
          ...(yield* TlsFiles.trust(tls)),
          ...(credentials && { credentials }),
          ...(origins && { origins }),
          trustedProxies
        }
      })
    })
  ).pipe(
    Layer.provide([
      NodeIdentity.layerConfig,
      Configuration.layerAppKey,
      Configuration.layerLimits,
      Configuration.layerPolicy
    ])
  )
