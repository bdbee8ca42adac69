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
  /**
   * The stacks that it is tried on, when its promise depends on the transport. By default the encrypting ones over net.
   */
  readonly over?: ReadonlyArray<StackName>
  /** One of them, on which it is tried in the quick size too, besides the first: where it could end in another way. */
  readonly second?: StackName
  /** Tried on `net~noisepq` in the quick size too: where its KEM, or its longer messages, could make a difference. */
  readonly hybrid?: true
  readonly run: (stack: StackName, size: Size) => Effect.Effect<Verdict, never, Scope.Scope>
}

/** Over each transport that can be reached from outside. */
export const everywhere: ReadonlyArray<StackName> = [...stacks, ...webSockets]

/** The same for what comes before any handshake: either protocol does. */
export const beforeHandshakes: ReadonlyArray<StackName> = ["net~shs", "ws~noise", "wss~shs"]

/** What a scenario is tried on in the full size. */
export const stacksOf = ({ once, over = stacks }: Scenario): ReadonlyArray<StackName> =>
  once ? over.slice(0, 1) : over

/** And in the quick size. */
export const quickStacksOf = (scenario: Scenario): ReadonlyArray<StackName> => {
  const [first] = stacksOf(scenario)
  const hybrid: StackName | undefined = scenario.hybrid && "net~noisepq"
  return [first, scenario.second, hybrid].filter((stack) => stack !== undefined)
}
