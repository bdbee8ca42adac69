import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Verdict } from "./checks.ts"
import { type Size, type StackName, stacks, webSockets } from "./world.ts"

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
  /** The stacks that it is tried on, when its promise depends on the transport. By default the encrypting ones over net. */
  readonly over?: ReadonlyArray<StackName>
  readonly run: (stack: StackName, size: Size) => Effect.Effect<Verdict, never, Scope.Scope>
}

/** Over each transport that can be reached from outside. */
export const everywhere: ReadonlyArray<StackName> = [...stacks, ...webSockets]

/** The same for what comes before any handshake: either protocol does. */
export const beforeHandshakes: ReadonlyArray<StackName> = ["net~shs", "ws~noise", "wss~shs"]

/** What a scenario is tried on. */
export const stacksOf = ({ once, over = stacks }: Scenario): ReadonlyArray<StackName> =>
  once ? over.slice(0, 1) : over
