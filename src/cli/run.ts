/** Runs the command as the process: handles signals, sets the exit code, and ends only when the output is written. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import * as Struct from "effect/Struct"
import { signalCode } from "./exit.ts"
import { Printed, watchStdout } from "./printed.ts"
import * as Signals from "./signals.ts"

/** How long the exit after a signal waits for the readers of stdout and stderr, in milliseconds. */
const flushMillis = 1000

/** Calls back when all output to stdout and stderr has been written, or can't be. */
const flushed = (done: () => void): void => {
  process.stdout.write("", () => process.stderr.write("", () => done()))
}

/**
 * Ends the process. `process.exit` waits for a read that is under way, such as of a pipe into which nobody writes, and
 * no further signal would be heard. After a signal, the process then ends by that signal, as the system's own handler
 * does; a shell sees the same code.
 */
const leave = (code: number, signal: number | undefined): void => {
  const name = Struct.keys(Signals.numbers).find((each) => Signals.numbers[each] === signal)
  if (name !== undefined && process.getActiveResourcesInfo().some((each) => each.startsWith("FSReq"))) {
    process.removeAllListeners(name)
    process.kill(process.pid, name)
  }
  process.exit(code)
}

/**
 * Runs an effect that succeeds with the exit code. At the first signal, an effect that waits for `Signals` ends in its
 * own way, and any other is interrupted. Only its own deadlines bound how long it takes to end. The second signal ends
 * the process at once.
 */
export const run = <E>(program: Effect.Effect<number, E>): void => {
  const told = new Signals.Told()
  const printed = watchStdout()
  Runtime.makeRunMain(({ fiber }) => {
    // If the reader of stderr is gone, that is not an error of the command. Without a listener, Node would throw it.
    process.stderr.on("error", () => {})

    let signalled: number | undefined
    const onSignal = (signal: number) => () => {
      if (signal === Signals.numbers.SIGHUP && told.reloads()) return
      if (signalled !== undefined) leave(signalCode(signal), signal)
      signalled = signal
      if (!told.tell(signal)) fiber.interruptUnsafe(fiber.id)
    }
    process.on("SIGINT", onSignal(Signals.numbers.SIGINT))
    process.on("SIGTERM", onSignal(Signals.numbers.SIGTERM))
    process.on("SIGHUP", onSignal(Signals.numbers.SIGHUP))

    fiber.addObserver((exit) => {
      const interrupted = signalled === undefined ? 1 : signalCode(signalled)
      const code = Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : interrupted
      const end = () => leave(code, signalled)
      if (signalled !== undefined) setTimeout(end, flushMillis)
      flushed(end)
    })
  })(
    program.pipe(
      Effect.provideService(Signals.Signals, told.signal),
      Effect.provideService(Signals.OnHangup, told.onHangup),
      Effect.provideService(Printed, printed)
    ),
    { disableErrorReporting: true }
  )
}
