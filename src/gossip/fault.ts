/** Why an exchange with a peer ends early. */
import * as Result from "effect/Result"
import type { GossipDropped } from "../Events.ts"

/** `Unreachable`: it could not be dialed, of which the Multiserver's own event tells. The rest: see `GossipDropped`. */
export interface Fault {
  readonly _tag: GossipDropped["tag"] | "Unreachable"
  readonly detail: string
}

export const fault = (tag: Fault["_tag"], detail: string): Result.Result<never, Fault> =>
  Result.fail({ _tag: tag, detail })
