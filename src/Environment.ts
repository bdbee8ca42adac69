/** What a Multiserver dials and listens with. Its layer makes one; the dialer and the listener get the same. */
import type { Capacity } from "./Capacity.ts"
import type * as Events from "./Events.ts"
import type { LimitValues } from "./Limits.ts"
import type { PolicyRules } from "./Policy.ts"
import type { Stack } from "./Stack.ts"

export interface Environment {
  /** What is spoken, by name. */
  readonly stacks: ReadonlyMap<string, Stack>
  readonly policy: PolicyRules
  readonly limits: LimitValues
  readonly emit: Events.Sink
  readonly capacity: Capacity
}
