/**
 * A transport that delays, splits, flips, cuts and resets what passes, for tests of protocols and of programs over
 * them. It is laid over any transport. The same seed does the same again:
 *
 * ```ts
 * const harm = { what: "flip", within: 1000 } as const
 * const rough = Chaos.layer("memory", { seed: 7, delay: "20 millis", split: 100, harm })
 * const below = rough.pipe(Layer.provide(Memory.layer()))
 * const Live = Multiserver.layer(["memory~mine"]).pipe(Layer.provide([below, mine]))
 * ```
 *
 * It disturbs both directions of a connection, at the dialer's end. Delays use the fiber's clock: under `TestClock`
 * they pass when the test says so.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Result from "effect/Result"
import type * as Scope from "effect/Scope"
import * as Link from "../Link.ts"
import * as Transport from "../Transport.ts"
import type { Done, Harm } from "./chaos/harm.ts"
import { Lane } from "./chaos/lane.ts"
import { ChaosPort } from "./chaos/port.ts"

export type { Done, Harm } from "./chaos/harm.ts"

/**
 * What is done to the bytes that pass.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /** The same seed does the same to connections that are dialed in the same order. */
  readonly seed: number
  /** Each piece is held back for a random time, up to this long. By default not at all. */
  readonly delay?: Duration.Input
  /** Pieces have 1 to this many bytes. By default they stay as they are. */
  readonly split?: number
  /** The harm that is done to each connection. By default none, so all that is written arrives unchanged. */
  readonly harm?: Harm
  /** Called for each harm that is done. */
  readonly onHarm?: (done: Done) => void
}

const around = (shape: Transport.Shape, { delay = 0, harm, onHarm, seed, split }: Options): Transport.Shape => {
  let dialed = 0
  const delayMillis = Duration.toMillis(Duration.fromInputUnsafe(delay))
  const harmOf = (harm: Harm): Effect.Effect<Done> =>
    Effect.gen(function* () {
      const toward = (yield* Random.nextBoolean) ? "dialer" : "listener"
      const at = yield* Random.nextIntBetween(0, Math.max(0, harm.within - 1))
      return { what: harm.what, toward: harm.toward ?? toward, at }
    })
  const disturb = (link: Link.Link): Effect.Effect<Link.Link, never, Scope.Scope> =>
    Effect.gen(function* () {
      const name = `${seed} ${dialed++}`
      const done = harm === undefined ? undefined : yield* Random.withSeed(harmOf(harm), name)
      const lane = (toward: Done["toward"]) =>
        new Lane({ delayMillis, split, harm: done?.toward === toward ? done : undefined })
      const port = new ChaosPort(link.port, { dialer: lane("dialer"), listener: lane("listener") }, (done) =>
        onHarm?.(done)
      )
      yield* Effect.forkScoped(Random.withSeed(port.inbound, `${name} in`), { startImmediately: true })
      yield* Effect.forkScoped(Random.withSeed(port.outbound, `${name} out`), { startImmediately: true })
      return Link.over(link, port, {})
    })
  return {
    ...shape,
    dial: (section) =>
      Result.map(
        shape.dial(section),
        (dial) => (options) => Effect.flatMap(dial(options), (link) => Link.lay(link, disturb))
      )
  }
}

/**
 * The transport called `name`, with the connections that it dials disturbed. It requires the transport of the same name
 * that it is laid over.
 *
 * @category layers
 * @since 0.1.0
 */
export const layer = <const Name extends string>(
  name: Name,
  options: Options
): Layer.Layer<Transport.Transport<Name>, never, Transport.Transport<Name>> =>
  Layer.effect(
    Transport.Transport(name),
    Effect.map(Transport.Transport(name), (shape) => around(shape, options))
  )
