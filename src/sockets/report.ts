/** Node's diagnostic report, which tells what Node has no call for. It takes some 5 to 20 ms. */
import * as Result from "effect/Result"

/**
 * The report. Its `excludeNetwork` is on meanwhile: otherwise the report would look up the names of all peers, and
 * block for seconds. `undefined` where the runtime has no such report, or a permission forbids it.
 */
export const diagnosticReport = (): unknown => {
  const { report } = process
  const excluded: unknown = Reflect.get(report ?? {}, "excludeNetwork")
  // A version of Node without this option would look the names up.
  if (typeof excluded !== "boolean") return undefined
  Reflect.set(report, "excludeNetwork", true)
  const written = Result.try(() => report.getReport())
  Reflect.set(report, "excludeNetwork", excluded)
  return Result.getOrUndefined(written)
}
