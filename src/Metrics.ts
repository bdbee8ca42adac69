/**
 * Metrics: the events as numbers, in Effect's metrics, with names, units and attributes in the shape of
 * OpenTelemetry's conventions. docs/observability.md lists them.
 *
 * No label has a key, an IP or an address, and whatever peers do, there are only so many labels: the stacks that the
 * program speaks, and the tags of this package's reasons.
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Events from "./Events.ts"
import { Tally } from "./metrics/tally.ts"

export { prometheusName } from "./metrics/names.ts"

/**
 * Counts the events of the Multiserver layers to which it is provided, beside the sinks that are provided to this layer
 * itself. The bytes of open connections are looked at every 5 seconds, which costs reads and writes nothing.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Metric } from "effect"
 * import { Memory, Metrics, Multiserver } from "effect-multiserver"
 *
 * const Live = Multiserver.layer(["memory"]).pipe(
 *   Layer.provide(Memory.layer()),
 *   Layer.provide(Metrics.layer)
 * )
 * const program = Effect.gen(function* () {
 *   yield* Effect.ignore(Effect.scoped(Multiserver.dial("memory:nobody")))
 *   const [dials] = (yield* Metric.snapshot).filter(({ id }) => id === "multiserver.dials")
 *   console.log(dials?.attributes?.["error.type"]) // Refused
 * })
 * await Effect.runPromise(Effect.provide(program, Live))
 * ```
 *
 * @category layers
 * @since 0.1.0
 */
export const layer: Layer.Layer<never> = Layer.unwrap(
  Effect.gen(function* () {
    const tally = new Tally(yield* Effect.context<never>())
    const look = Effect.sync(() => tally.look())
    yield* Effect.forkScoped(Effect.forever(Effect.delay(look, "5 seconds")))
    return Events.layer((event, carried) => Effect.sync(() => tally.event(event, carried)))
  })
)
