/**
 * The contract of a connection as a list of checks, for every transport and transform, also for your own.
 *
 * A check is a name and an effect that fails when the contract is broken; any test runner can run it:
 *
 * ```ts
 * const subject = { target: "net:127.0.0.1:0~mine", layer, authenticates: true, halfClose: true }
 * for (const { name, run } of Compliance.suite(subject)) {
 *   it.live(name, () => run)
 * }
 * ```
 *
 * The checks use the real clock, and take some seconds together.
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Limits from "../Limits.ts"
import type * as Multiserver from "../Multiserver.ts"
import { aborts } from "./compliance/aborts.ts"
import { carries } from "./compliance/carries.ts"
import { type Claim, Patience } from "./compliance/clause.ts"
import { ends } from "./compliance/ends.ts"

export { Broken, type Claim } from "./compliance/clause.ts"

/**
 * The stack to check, and what it claims.
 *
 * @category options
 * @since 0.1.0
 */
export interface Subject<E> extends Claim {
  /** A Multiserver that speaks the target's stack. Built once for each check. */
  readonly layer: Layer.Layer<Multiserver.Multiserver, E>
  /**
   * How long a check waits for one step, such as a dial or the end of a stream, before it fails with what it waited
   * for. By default 20 seconds.
   */
  readonly patience?: Duration.Input
}

/**
 * One clause of the contract. `run` fails when it is broken.
 *
 * @category models
 * @since 0.1.0
 */
export interface Check {
  readonly name: string
  readonly run: Effect.Effect<void, unknown>
}

/**
 * All checks for a stack. Each makes its own Multiserver and listener.
 *
 * @category constructors
 * @since 0.1.0
 */
export const suite = <E>({ patience, ...subject }: Subject<E>): ReadonlyArray<Check> =>
  [...carries(subject), ...ends(subject), ...aborts(subject)].map(({ name, run }) => ({
    name,
    run: run.pipe(
      Effect.scoped,
      Effect.provide(subject.layer.pipe(Layer.provide(Limits.layer({ grace: Duration.millis(50) })))),
      patience === undefined ? (run) => run : Effect.provideService(Patience, Duration.fromInputUnsafe(patience))
    )
  }))
