/**
 * One program as several processes, so that it uses all cores of its machine.
 *
 * `launch` takes a layer that listens, such as that of `Multiserver.layerServer`. In the process that was started by
 * hand, the parent, it builds no layer: it starts worker processes with the same program and the same arguments. In
 * each of these, `launch` builds the layer, and all workers listen on the same ports. The parent accepts no connection.
 * It starts a worker again that has ended, and stops all of them when it is interrupted.
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import * as Address from "./Address.ts"
import type { AddressError } from "./AddressError.ts"
import type { ListenError } from "./ListenError.ts"
import { isWorker } from "./workerChannel.ts"
import type { WorkersError } from "./workers/errors.ts"
import type { Places } from "./workers/messages.ts"
import * as Parent from "./workers/parent.ts"
import * as Worker from "./workers/worker.ts"

export { isWorker } from "./workerChannel.ts"
export {
  BadCount,
  LimitTooSmall,
  NothingListens,
  NotStarted,
  OtherAddresses,
  SocketsInherited,
  WorkersError
} from "./workers/errors.ts"

/**
 * How `launch` runs a program.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** How many worker processes there are, from 1 to 1024. `os.availableParallelism()` is a good number. */
  readonly workers: number
  /**
   * Run in the parent when all workers listen, with the addresses of each listener. It may go on as long as `launch`
   * does. What it dies of is logged.
   */
  readonly onListening?: (listeners: ReadonlyArray<Listening>) => Effect.Effect<void>
  /**
   * How the workers share a port. `reusePort`: each listens on it, and the system spreads the connections evenly.
   * `cluster`: all accept from one socket, by `node:cluster`, so the one that is free takes the connection. By default
   * `reusePort` on Linux with Node 22.12, 23.1 or later, and `cluster` elsewhere.
   */
  readonly sharing?: "reusePort" | "cluster"
}

/**
 * Where the workers listen: the addresses of one listener by the scope from which they can be dialed, as
 * `Listener.addresses` has them.
 *
 * @category models
 * @since 0.1.0
 */
export interface Listening {
  readonly device: ReadonlyArray<Address.Address>
  readonly local: ReadonlyArray<Address.Address>
  readonly public: ReadonlyArray<Address.Address>
}

/** Takes what the workers of the command report. */
interface Reporting {
  readonly said: (said: unknown, worker: number) => Effect.Effect<void>
}

const parsed = (texts: ReadonlyArray<string>): ReadonlyArray<Address.Address> =>
  texts.flatMap((text) => Result.getOrElse(Address.parse(text), () => []))

const listening = ({ device, local, public: everywhere }: Places): Listening => ({
  device: parsed(device),
  local: parsed(local),
  public: parsed(everywhere)
})

/**
 * As `launch`. It also takes what the workers report besides events.
 *
 * @internal
 * @category combinators
 * @since 0.1.0
 */
export const launchWith = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  { onListening = () => Effect.void, said, sharing, workers }: Options & Reporting
): Effect.Effect<void, ListenError | AddressError | WorkersError, R> =>
  Effect.suspend(() =>
    isWorker()
      ? Worker.run(layer)
      : Parent.run({ workers, sharing, said, onListening: (all) => onListening(all.map(listening)) })
  )

/**
 * Runs a layer that listens in several worker processes, until it is interrupted. Then the workers drain, all at once,
 * and it ends when the last one has.
 *
 * - **The identity** of the parent is that of all workers: provide it to `launch`, and it is handed over in memory.
 * - **Limits** on numbers are divided, so that all workers together have no more than the whole. As a source's
 *   connections can come to any worker, each worker lets a source have only its own part.
 * - **Events** of the workers come to the sinks that `launch` gets in the parent, with the number of the worker. Sinks
 *   within the layer get the events of their own worker, in its process.
 * - **A worker that ends** is started again, after 100 ms, and after up to 30 s when it ends again and again. What
 *   it had open is lost, and nothing else.
 *
 * Workers share `net`, `ws` and `wss`. Other transports fail with `NotListenable`. `launch` fails when a worker can't
 * listen at the start: with the `ListenError`, or with a `WorkersError` that says why.
 *
 * @example
 * ```ts
 * import * as os from "node:os"
 * import { Effect, Layer, Stream } from "effect"
 * import { Connection, Events, Multiserver, NodeIdentity, NodeMultiserver, Workers } from "effect-multiserver/node"
 *
 * const Server = Multiserver.layerServer("net:0.0.0.0:8008~shs", (peer) =>
 *   Stream.run(Connection.stream(peer), Connection.sink(peer))
 * ).pipe(Layer.provide(NodeMultiserver.layer()))
 * // In a main module: `NodeRuntime.runMain(main)`.
 * export const main = Workers.launch(Server, { workers: os.availableParallelism() }).pipe(
 *   Effect.provide([NodeIdentity.layerEphemeral, Events.layerLog])
 * )
 * ```
 *
 * @category combinators
 * @since 0.1.0
 */
export const launch = <A, E, R>(
  layer: Layer.Layer<A, E, R>,
  options: Options
): Effect.Effect<void, ListenError | AddressError | WorkersError, R> =>
  launchWith(layer, { ...options, said: () => Effect.void })
