/** Divides limits among workers, so that all of them together have no more than the whole. */
import * as Result from "effect/Result"
import type { LimitValues } from "../Limits.ts"
import { LimitTooSmall } from "./errors.ts"

/** The limits on numbers. The others are times, which hold for each connection alone, so they stay whole. */
const counted = ["connections", "pendingHandshakes", "sourceConnections", "sourceRate", "dials"] as const

/** The part of one worker, whose number counts from 0. What can't be divided evenly goes to the first ones. */
export const part = (
  limits: LimitValues,
  index: number,
  workers: number
): Result.Result<LimitValues, LimitTooSmall> => {
  const small = counted.find((limit) => limits[limit] < workers)
  if (small !== undefined) {
    return Result.fail(new LimitTooSmall({ limit: small, value: limits[small], workers }))
  }
  const share = (whole: number): number =>
    Number.isFinite(whole) ? Math.floor(whole / workers) + (index < Math.floor(whole) % workers ? 1 : 0) : whole
  return Result.succeed({
    ...limits,
    connections: share(limits.connections),
    pendingHandshakes: share(limits.pendingHandshakes),
    sourceConnections: share(limits.sourceConnections),
    sourceRate: share(limits.sourceRate),
    dials: share(limits.dials)
  })
}
