/** Whether what a command printed on stdout was written, whatever printed it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { LocalError } from "./exit.ts"

/** Succeeds when all that was printed so far has been written, or nobody reads it any more; fails when it can't be. */
export const Printed = Context.Reference<Effect.Effect<void, LocalError>>("effect-multiserver/cli/Printed", {
  defaultValue: () => Effect.void
})

/**
 * Watches the process's stdout from now on. Nothing that prints there learns of an error by itself: Node says it later,
 * and only to those who listen.
 */
export const watchStdout = (): Effect.Effect<void, LocalError> => {
  const { stdout } = process
  let failure: LocalError | undefined
  stdout.on("error", ({ code = "Unknown" }: NodeJS.ErrnoException) => {
    // EPIPE: the reader has gone, as `head` does, which is no failure. ERR_: a write of no bytes after the end.
    if (code === "EPIPE" || code.startsWith("ERR_")) return
    failure ??= new LocalError({ kind: code, message: `cannot write stdout: ${code}` })
  })
  const written = Effect.callback<void>((resume) => {
    // The callback may come before the error of what was written earlier, but in the same turn of the event loop.
    stdout.write("", () => setImmediate(() => resume(Effect.void)))
  })
  return Effect.andThen(
    written,
    Effect.suspend(() => (failure === undefined ? Effect.void : Effect.fail(failure)))
  )
}
