/** `--workers`: whether a command can be several processes, and which of them this one is. */
import * as Effect from "effect/Effect"
import { isWorker } from "../workerChannel.ts"
import { UsageError } from "./exit.ts"
import * as Files from "./files.ts"

/** Fails if the command can't be several processes. */
export const check = (input: Files.Input, once: boolean): Effect.Effect<void, UsageError> => {
  if (!once) return Files.keepToPaths(input)
  const message = "--workers serve many connections, and --once stops after one: leave one of them out"
  return Effect.fail(new UsageError({ kind: "Conflict", message }))
}

/** Whether other processes serve, and this one only starts them. */
export const areOthers = (workers: number | undefined): boolean => workers !== undefined && !isWorker()

/** Whether this is one of several processes that serve, and another one reports. */
export const isOne = (workers: number | undefined): boolean => workers !== undefined && isWorker()
