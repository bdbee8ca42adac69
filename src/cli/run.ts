/** Runs the command as the process: signals, the exit code, and output that is written before the end. */
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"

/** How long a signal waits for who reads stdout and stderr, in milliseconds. */
const flushMillis = 1000

/** Calls back when stdout and stderr have been written, as far as anybody reads them. */
const flushed = (done: () => void): void => {
  process.stdout.write("", () => process.stderr.write("", () => done()))
}

/**
 * Runs an effect that succeeds with the exit code. The first SIGINT or SIGTERM interrupts it, and what it has to finish
 * is bounded by its own deadlines; the second ends the process at once.
 */
export const run = Runtime.makeRunMain(({ fiber }) => {
  // A reader that is gone is no failure of ours; without a listener, it would be thrown.
  for (const output of [process.stdout, process.stderr]) output.on("error", () => {})

  let signalled: number | undefined
  const onSignal = (number: number) => () => {
    if (signalled !== undefined) process.exit(128 + number)
    signalled = 128 + number
    fiber.interruptUnsafe(fiber.id)
  }
  process.on("SIGINT", onSignal(2))
  process.on("SIGTERM", onSignal(15))

  fiber.addObserver((exit) => {
    const code = Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : 1
    const end = () => process.exit(signalled ?? code)
    if (signalled !== undefined) setTimeout(end, flushMillis)
    flushed(end)
  })
})
