/** Whether all that was printed on stdout has been written, no matter which code printed it. */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { LocalError } from "./exit.ts"

/** Succeeds when all that was printed so far is written, or when stdout's reader is gone. Fails if writing fails. */
export const Printed = Context.Reference<Effect.Effect<void, LocalError>>("effect-multiserver/cli/Printed", {
  defaultValue: () => Effect.void
})

/**
 * Watches the process's stdout from now on. The code that prints does not learn of an error by itself, because Node
 * reports it later, as an event of the stream.
 */
export const watchStdout = (): Effect.Effect<void, LocalError> => {
  const { stdout } = process
  let failure: LocalError | undefined
  stdout.on("error", ({ code = "Unknown" }: NodeJS.ErrnoException) => {
    // EPIPE: the reader is gone, as with `| head`, which is no failure. ERR_: the empty write below, after the end.
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
