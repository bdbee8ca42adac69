/**
 * A tracker: a server to which peers give their address records, and which gives them to those who ask for a key.
 * `layer` and `serve` are the server, `source` is what `Lookup` asks. docs/lookup-tracker.md says what a tracker can do
 * to those who use it.
 *
 * It is two procedures of Effect's RPC, over a stack that proves keys. A tracker takes a record only from the peer that
 * the record is about.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type { AddressError } from "./Address.ts"
import type { Primitives } from "./crypto/Primitives.ts"
import type { ListenError } from "./ListenError.ts"
import type { Listener, ListenOptions } from "./Listener.ts"
import type * as Multiserver from "./Multiserver.ts"
import { listenAuthenticated } from "./rpc/listening.ts"
import { make, type Options } from "./tracker/server.ts"

export { type SourceOptions, source } from "./tracker/client.ts"
export {
  BadRecord,
  Conflict,
  Expired,
  Older,
  OtherPeer,
  Procedures,
  TooOften,
  TrackerError
} from "./tracker/procedures.ts"
export type { Rate } from "./tracker/rates.ts"
export { make, type Options } from "./tracker/server.ts"

/**
 * The listener of a tracker that `layer` serves. Its `addresses` are what `source` is given.
 *
 * @category services
 * @since 0.1.0
 */
export class Tracker extends Context.Service<Tracker, Listener>()(
  "effect-multiserver/Tracker (Tracker.layer gives it)"
) {}

/** Listens, if all addresses prove keys. */
const listen = (target: Multiserver.Target, options?: ListenOptions) =>
  listenAuthenticated(target, options, "a tracker takes a record only from the peer that it is about")

/**
 * Serves a tracker as long as the layer lives, and drains when it is released. All addresses have to prove keys:
 * without `~shs` or `~noise` it fails with `NotListenable`.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { NodeIdentity, NodeMultiserver, Sodium, Tracker } from "effect-multiserver/node"
 *
 * export const Live = Tracker.layer("net:127.0.0.1:0~shs").pipe(
 *   Layer.provide(NodeMultiserver.layer()),
 *   Layer.provide(NodeIdentity.layerEphemeral),
 *   Layer.provide(Sodium.layer)
 * )
 * const program = Effect.map(Tracker.Tracker, ({ addresses }) => addresses().join(";"))
 * console.log((await Effect.runPromise(Effect.provide(program, Live))).slice(0, 14)) // net:127.0.0.1:
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (
  target: Multiserver.Target,
  { listen: listenOptions, ...options }: Options & { readonly listen?: ListenOptions } = {}
): Layer.Layer<Tracker, AddressError | ListenError, Multiserver.Multiserver | Primitives> =>
  Layer.effect(
    Tracker,
    Effect.gen(function* () {
      const handler = yield* make(options)
      const listener = yield* listen(target, listenOptions)
      yield* Effect.forkScoped(listener.run(handler))
      return listener
    })
  )

/**
 * As `layer`, until it is interrupted.
 *
 * @category combinators
 * @since 0.1.0
 */
export const serve = (
  target: Multiserver.Target,
  { listen: listenOptions, ...options }: Options & { readonly listen?: ListenOptions } = {}
): Effect.Effect<never, AddressError | ListenError, Multiserver.Multiserver | Primitives> =>
  Effect.scoped(
    Effect.flatMap(make(options), (handler) =>
      Effect.flatMap(listen(target, listenOptions), (listener) => listener.run(handler))
    )
  )
