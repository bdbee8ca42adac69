/**
 * How many connections this process has file descriptors for. Node tells of running out of them neither who listens nor who
 * connected: newcomers then wait until some are free, so there must never be none.
 */
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as Result from "effect/Result"

/** For listeners, files, name lookups, and sockets that are accepted only to be turned away. */
const reserved = 64

/** `Max open files            1024                 4096                 files` */
const fromProc = (text: string): string | undefined => /^Max open files +(\S+)/m.exec(text)?.[1]

/** The soft limit as the system writes it. Node has no API for it; only Linux has a file. */
const softLimit = (): string | undefined =>
  Result.match(
    Result.try(() => fs.readFileSync("/proc/self/limits", "latin1")),
    {
      onSuccess: fromProc,
      onFailure: () =>
        process.platform === "win32"
          ? undefined
          : spawnSync("/bin/sh", ["-c", "ulimit -n"], { encoding: "latin1", timeout: 1000 }).stdout?.trim()
    }
  )

/** Room by what the system says: a number, `unlimited`, or nothing. */
export const roomFor = (limit: string | undefined): number =>
  limit !== undefined && /^\d+$/.test(limit) ? Math.max(1, Number(limit) - reserved) : Number.POSITIVE_INFINITY

let known: number | undefined

/** The soft limit less 64; no bound where there is no limit. Asked of the system once. */
export const fdRoom = (): number => {
  known ??= roomFor(softLimit())
  return known
}
