/**
 * Events: a record of each thing that happens to a connection, such as `Connected`, `Closed` and `HandshakeFailed`.
 * `Events` is a reference to the sinks that receive them: by default there are none. It is read where a Multiserver
 * layer is built. `log`, `Metrics.layer` and the command's `--json` are sinks.
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as PubSub from "effect/PubSub"
import * as Stream from "effect/Stream"
import type { Event } from "./events/event.ts"
import { levelOf, line } from "./events/line.ts"

export * from "./events/event.ts"
export { line } from "./events/line.ts"

// -----------------------------------------------------------------------------
// the sinks
// -----------------------------------------------------------------------------

/**
 * Tells what an open connection has carried by now. The same object comes with `Connected` and with `Closed`, so it
 * tells connections apart, too.
 *
 * @category models
 * @since 0.1.0
 */
export interface Carried {
  readonly account: () => { readonly bytesRead: number; readonly bytesWritten: number }
}

/**
 * Receives each event, and with `Connected` and `Closed` what tells how much the connection has carried at any time. If
 * it dies, that is logged, and nothing else ends. Connections wait for it, so it should be quick: after the `close`
 * time of `Limits` it is interrupted, and the event is lost. That costs other sinks nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Sink = (event: Event, carried?: Carried) => Effect.Effect<void>

/**
 * The sinks of a Multiserver, read where its layer is built. By default there are none.
 *
 * @category references
 * @since 0.1.0
 */
export const Events: Context.Reference<ReadonlyArray<Sink>> = Context.Reference<ReadonlyArray<Sink>>(
  "effect-multiserver/Events",
  { defaultValue: () => [] }
)

/**
 * Gives these sinks to the Multiserver layers to which it is provided, beside the sinks that are provided to this layer
 * itself. Each sink receives all events. Of two such layers in one `Layer.provide([...])` only the last counts: give
 * all sinks to one.
 *
 * @example
 * ```ts
 * import { Console, Effect, Layer } from "effect"
 * import { Events, Memory, Multiserver } from "effect-multiserver"
 *
 * const Live = Multiserver.layer(["memory"]).pipe(
 *   Layer.provide(Memory.layer()),
 *   // Provided to the Multiserver, and not merged with it.
 *   Layer.provide(Events.layer((event) => Console.log(event._tag)))
 * )
 * await Effect.runPromise(Effect.ignore(Effect.scoped(Multiserver.dial("memory:nobody"))).pipe(Effect.provide(Live)))
 * // DialFailed
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = (...sinks: ReadonlyArray<Sink>): Layer.Layer<never> =>
  Layer.effect(
    Events,
    Effect.map(Events, (others) => [...others, ...sinks])
  )

// -----------------------------------------------------------------------------
// the log
// -----------------------------------------------------------------------------

/**
 * Logs each event on one line: `Events.layer(Events.log, yourSink)`.
 *
 * @category sinks
 * @since 0.1.0
 */
export const log: Sink = (event) => Effect.logWithLevel(levelOf(event))(line(event))

/**
 * Logs each event on one line, with the loggers of the program: `layer(log)`.
 *
 * @category layers
 * @since 0.1.0
 */
export const layerLog: Layer.Layer<never> = layer(log)

// -----------------------------------------------------------------------------
// the stream
// -----------------------------------------------------------------------------

/**
 * The hub from which `stream` takes events. `layerStream` makes it.
 *
 * @category services
 * @since 0.1.0
 */
export class Hub extends Context.Service<Hub, PubSub.PubSub<Event>>()(
  "effect-multiserver/Events/Hub (Events.layerStream gives it)"
) {}

/**
 * Gives the events of a Multiserver to `stream`, and to these sinks, as `layer` does. No connection waits for a slow
 * reader of the stream: of the events that it has not read, the last `capacity` are kept (by default 1,024). When the
 * layer is released, the streams end.
 *
 * @example
 * ```ts
 * import { Console, Effect, Fiber, Layer, Schema, Stream } from "effect"
 * import { Events, Memory, Multiserver } from "effect-multiserver"
 *
 * const Live = Multiserver.layer(["memory"]).pipe(
 *   Layer.provide(Memory.layer()),
 *   Layer.provideMerge(Events.layerStream({ capacity: 100 }))
 * )
 * const toJson = Schema.encodeEffect(Schema.fromJsonString(Schema.toCodecJson(Events.Event)))
 * const printed = Events.stream.pipe(
 *   Stream.take(1),
 *   Stream.mapEffect((event) => toJson(event)),
 *   Stream.runForEach((json) => Console.log(json.slice(0, 20)))
 * )
 * const program = Effect.gen(function* () {
 *   const printing = yield* Effect.forkChild(printed, { startImmediately: true })
 *   yield* Effect.ignore(Effect.scoped(Multiserver.dial("memory:nobody")))
 *   yield* Fiber.join(printing)
 * })
 * await Effect.runPromise(Effect.provide(program, Live))
 * // {"_tag":"DialFailed"
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layerStream = (
  { capacity = 1024 }: { readonly capacity?: number } = {},
  ...sinks: ReadonlyArray<Sink>
): Layer.Layer<Hub> =>
  Layer.unwrap(
    Effect.map(Effect.acquireRelease(PubSub.sliding<Event>(capacity), PubSub.shutdown), (hub) =>
      Layer.merge(
        Layer.succeed(Hub, hub),
        layer((event) => Effect.asVoid(PubSub.publish(hub, event)), ...sinks)
      )
    )
  )

/**
 * The events from the moment in which the stream is run. Each run gets all of them. Needs `layerStream`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const stream: Stream.Stream<Event, never, Hub> = Stream.unwrap(Effect.map(Hub, (hub) => Stream.fromPubSub(hub)))
