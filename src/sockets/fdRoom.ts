/**
 * The number of connections that this process has file descriptors for. Descriptors must never run out, because Node
 * tells neither a listener nor a dialer: newcomers just wait until some are free.
 *
 * Nothing here starts a process: that is slow, and Node's permission model forbids it.
 */
import * as fs from "node:fs"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"

/** Descriptors kept free for listeners, files, look-ups, and sockets that are accepted only to be turned away. */
const reserved = 64

/** `Max open files            1024                 4096                 files` */
const fromProc = (text: string): string | undefined => /^Max open files +(\S+)/m.exec(text)?.[1]

const Report = Schema.Struct({
  userLimits: Schema.Struct({ open_files: Schema.Struct({ soft: Schema.Union([Schema.Number, Schema.String]) }) })
})
const decodeReport = Schema.decodeUnknownOption(Report)

/**
 * The soft limit as Node's diagnostic report has it, on all systems but Windows; some 20 ms. Without `excludeNetwork`
 * the report would look up the names of all peers, and block for seconds.
 */
const fromReport = (): string | undefined => {
  const { report } = process
  const excluded: unknown = Reflect.get(report, "excludeNetwork")
  // A version of Node without this option would look the names up.
  if (typeof excluded !== "boolean") return undefined
  Reflect.set(report, "excludeNetwork", true)
  const written = Result.try(() => report.getReport())
  Reflect.set(report, "excludeNetwork", excluded)
  const limits = decodeReport(Result.getOrUndefined(written))
  return Option.getOrUndefined(Option.map(limits, ({ userLimits }) => String(userLimits.open_files.soft)))
}

/** The result, or `undefined` where the system or a permission forbids reading. */
const read = (from: () => string | undefined): string | undefined => Result.getOrUndefined(Result.try(from))

/** The soft limit as the system writes it. Node has no call for it, and only Linux has a file. */
const softLimit = (): string | undefined =>
  read(() => fromProc(fs.readFileSync("/proc/self/limits", "latin1"))) ?? read(fromReport)

/** The number of connections under a soft limit. The limit is a number, `unlimited`, or `undefined` if unknown. */
export const roomFor = (limit: string | undefined): number =>
  limit !== undefined && /^\d+$/.test(limit) ? Math.max(1, Number(limit) - reserved) : Number.POSITIVE_INFINITY

/** The soft limit less 64, or infinity where no limit is found. Called when a Multiserver's layer is built. */
export const fdRoom = (): number => roomFor(softLimit())
