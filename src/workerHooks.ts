/** What a worker process changes in the Multiservers that it makes. `Workers` gives it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type { MultiAddress } from "./Address.ts"
import type { LimitValues } from "./Limits.ts"
import type { ListenError } from "./ListenError.ts"
import type { Listener } from "./Listener.ts"

export interface WorkerHooks {
  /** Whether this process does what only one of them has to do, such as publishing addresses. */
  readonly isFirst: boolean
  /** The numbers of connections begin after this one, so that no two workers give the same. */
  readonly firstId: number
  /** This worker's part of the limits. Dies where they can't be divided. */
  readonly part: (limits: LimitValues) => Effect.Effect<LimitValues>
  /** Listens, unless the addresses can't be shared with other processes, and tells the parent process where. */
  readonly listening: <E, R>(
    addresses: MultiAddress,
    listen: Effect.Effect<Listener, E, R>
  ) => Effect.Effect<Listener, E | ListenError, R>
}

/** Read where a Multiserver layer is built. By default nothing is changed. */
export const WorkerHooks: Context.Reference<WorkerHooks> = Context.Reference<WorkerHooks>(
  "effect-multiserver/WorkerHooks",
  {
    defaultValue: () => ({ isFirst: true, firstId: 0, part: Effect.succeed, listening: (_, listen) => listen })
  }
)
