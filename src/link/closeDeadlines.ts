/** How long connections may still take to leave. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Scope from "effect/Scope"
import { monotonicMillis } from "../monotonic.ts"

/**
 * One for each Multiserver. When a scope closes, its connections leave one after another. They share one deadline,
 * because a thousand peers that don't read would otherwise take a thousand deadlines.
 *
 * @category options
 * @since 0.1.0
 */
export class CloseDeadlines {
  private readonly closeMillis: number
  /** When each scope that is closing has to be done, in milliseconds of the monotonic clock. */
  private readonly deadlines = new WeakMap<Scope.Scope, number>()

  constructor(close: Duration.Duration) {
    this.closeMillis = Duration.toMillis(close)
  }

  /** How many milliseconds a connection of this scope may still take. */
  remaining(scope: Scope.Scope, clock: Clock.Clock): number {
    // All of them share the outermost scope that is closing.
    let root = scope
    while (root.parent?.state._tag === "Closed") root = root.parent
    const now = monotonicMillis(clock)
    const deadline = this.deadlines.get(root) ?? now + this.closeMillis
    this.deadlines.set(root, deadline)
    return deadline - now
  }
}
