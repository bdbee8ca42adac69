/** What a check is made of: its name, an effect that fails when the contract is broken, and helpers for that effect. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Multiserver } from "../../Multiserver.ts"

/**
 * What is claimed of a stack. The checks hold the stack to it.
 *
 * @category models
 * @since 0.1.0
 */
export interface Claim {
  /** The address to listen on. The first of `Listener.addresses()` has to be dialable. */
  readonly target: string
  /** Whether the stack authenticates. If so, an end without a goodbye must not look like a clean end. */
  readonly authenticates: boolean
  /** Whether one side can go on writing after the other has ended. */
  readonly halfClose: boolean
}

/** One clause of the contract, before it has a Multiserver and a deadline. */
export interface Clause {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, Multiserver | Scope.Scope>
}

export const clause = (name: string, run: Clause["run"]): Clause => ({ name, run })

/**
 * The contract is broken: what a check expected, and what came instead.
 *
 * @category errors
 * @since 0.1.0
 */
export class Broken extends Schema.TaggedError<Broken>("effect-multiserver/testing/Broken")("Broken", {
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return `expected ${this.expected}, but got ${this.actual}`
  }
}

export const broken = (expected: string, actual: string): Effect.Effect<never, Broken> =>
  Effect.fail(new Broken({ expected, actual }))

export const expect = (holds: boolean, expected: string, actual: unknown): Effect.Effect<void, Broken> =>
  holds ? Effect.void : broken(expected, String(actual))

/** How long one step of a check may take. */
export const Patience: Context.Reference<Duration.Duration> = Context.Reference("effect-multiserver/testing/Patience", {
  defaultValue: () => Duration.seconds(20)
})

/** Fails when a step takes too long. The error says what was expected, and what has come so far. */
export const soon = <A, E, R>(
  expected: string,
  step: Effect.Effect<A, E, R>,
  actual: () => string = () => "nothing"
): Effect.Effect<A, E | Broken, R> =>
  Effect.flatMap(Patience, (duration) =>
    Effect.timeoutOrElse(step, {
      duration,
      orElse: () => broken(expected, `${actual()} within ${Duration.format(duration)}`)
    })
  )

export const expectBytes = (actual: Uint8Array, expected: Uint8Array): Effect.Effect<void, Broken> => {
  let at = 0
  while (at < expected.length && actual[at] === expected[at]) at++
  // If no byte differs, `actual` begins with all of `expected`, and may have more.
  if (at === expected.length && actual.length === at) return Effect.void
  return broken(`${expected.length} bytes`, `${actual.length} bytes that differ from position ${at} on`)
}
