/** What a Multiserver dials and listens with. Its layer makes one; the dialer and the listener get the same. */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { MultiAddress } from "./Address.ts"
import type { Capacity } from "./Capacity.ts"
import type { Connection } from "./Connection.ts"
import type { DialError } from "./DialError.ts"
import type { DialPlaces } from "./DialPlaces.ts"
import type * as Events from "./Events.ts"
import type { Report } from "./guarded.ts"
import type { LimitValues } from "./Limits.ts"
import type { CloseDeadlines } from "./Link.ts"
import type { PolicyRules } from "./Policy.ts"
import type { Resolve } from "./Resolver.ts"
import type { Stack } from "./Stack.ts"
import type { Spanned } from "./spans.ts"

export interface Environment {
  /** What is spoken, by name. */
  readonly stacks: ReadonlyMap<string, Stack>
  /** Denies when it throws. */
  readonly policy: PolicyRules
  readonly limits: LimitValues
  /** Never fails. */
  readonly emit: Events.Sink
  readonly report: Report
  /** Around dials and what is accepted, where there is a tracer. */
  readonly spanned: Spanned
  readonly capacity: Capacity
  /** For dials, of that capacity. */
  readonly places: DialPlaces
  /** The application's resolver, where it has one. */
  readonly resolve: Resolve | undefined
  /** The time that connections which leave together share. */
  readonly deadlines: CloseDeadlines
  /** A dial of this Multiserver, for transports that go through another peer. */
  readonly dial: (addresses: MultiAddress) => Effect.Effect<Connection, DialError, Scope.Scope>
}
