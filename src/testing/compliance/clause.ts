/** What a check is made of: its name, an effect that fails when the contract is broken, and the words for that. */
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import type { Multiserver } from "../../Multiserver.ts"

/** What is said of a stack; the checks hold it to that. */
export interface Claim {
  /** What to listen on. What is bound has to be dialable by what `Listener.addresses()` says. */
  readonly target: string
  /** Whether the stack authenticates: then an end without a goodbye is told from a clean end. */
  readonly authenticates: boolean
  /** Whether one side can go on after the other has ended. */
  readonly halfClose: boolean
}

/** One clause of the contract, before it has a Multiserver and a deadline. */
export interface Clause {
  readonly name: string
  readonly run: Effect.Effect<void, unknown, Multiserver | Scope.Scope>
}

export const clause = (name: string, run: Clause["run"]): Clause => ({ name, run })

/** The contract is broken. */
export class Broken extends Schema.TaggedError<Broken>("effect-multiserver/testing/Broken")("Broken", {
  expected: Schema.String,
  actual: Schema.String
}) {
  override get message(): string {
    return `expected ${this.expected}, but got ${this.actual}`
  }
}

const broken = (expected: string, actual: string): Effect.Effect<never, Broken> =>
  Effect.fail(new Broken({ expected, actual }))

export const expect = (holds: boolean, expected: string, actual: unknown): Effect.Effect<void, Broken> =>
  holds ? Effect.void : broken(expected, String(actual))

/** How long one step of a check may take. */
export const Patience: Context.Reference<Duration.Duration> = Context.Reference("effect-multiserver/testing/Patience", {
  defaultValue: () => Duration.seconds(20)
})

/** Fails when a step takes too long, with what it waited for and what has come until then. */
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
  const at = expected.findIndex((byte, i) => byte !== actual[i])
  return actual.length === expected.length && at < 0
    ? Effect.void
    : broken(`${expected.length} bytes`, `${actual.length} bytes, other ones from ${at}`)
}
