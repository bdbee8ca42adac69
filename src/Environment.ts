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
  /** The stacks that are spoken, by name: `net~shs`. */
  readonly stacks: ReadonlyMap<string, Stack>
  /** Denies when the application's policy throws. */
  readonly policy: PolicyRules
  readonly limits: LimitValues
  /** Never fails. */
  readonly emit: Events.Sink
  readonly report: Report
  /** Puts spans around dials and accepted connections, where there is a tracer. */
  readonly spanned: Spanned
  readonly capacity: Capacity
  /** The places of dials, which count in `capacity`. */
  readonly places: DialPlaces
  /** The application's resolver, where it has one. */
  readonly resolve: Resolve | undefined
  /** The number of the next connection. It counts from 1. */
  readonly nextId: () => number
  /** The deadlines that connections share when they close together. */
  readonly deadlines: CloseDeadlines
  /** A dial of this Multiserver, for transports that go through another peer. */
  readonly dial: (addresses: MultiAddress) => Effect.Effect<Connection, DialError, Scope.Scope>
}
