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
import { diagnosticReport } from "./report.ts"

/** Descriptors kept free for listeners, files, look-ups, and sockets that are accepted only to be turned away. */
const reserved = 64

/** `Max open files            1024                 4096                 files` */
const fromProc = (text: string): string | undefined => /^Max open files +(\S+)/m.exec(text)?.[1]

const Report = Schema.Struct({
  userLimits: Schema.Struct({ open_files: Schema.Struct({ soft: Schema.Union([Schema.Number, Schema.String]) }) })
})
const decodeReport = Schema.decodeUnknownOption(Report)

/** The soft limit as Node's diagnostic report has it, on all systems but Windows. */
const fromReport = (): string | undefined =>
  Option.getOrUndefined(
    Option.map(decodeReport(diagnosticReport()), ({ userLimits }) => String(userLimits.open_files.soft))
  )

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
