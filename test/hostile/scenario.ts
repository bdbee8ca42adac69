import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Verdict } from "./checks.ts"
import type { Size, StackName } from "./world.ts"

/** One promise: a row of docs/threat-model.md, and how it is tried. */
export interface Scenario {
  readonly name: string
  /** What is at stake: `availability`, `integrity`, `identity`, `trust`. */
  readonly asset: string
  readonly attacker: string
  readonly threat: string
  readonly answer: string
  /** What is promised, as it is measured in the full size. */
  readonly promise: string
  /** Not for each encrypting stack, but once. */
  readonly once?: true
  readonly run: (stack: StackName, size: Size) => Effect.Effect<Verdict, never, Scope.Scope>
}
