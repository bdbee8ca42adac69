/** Runs the command as the process: signals, the exit code, and output that is written before the end. */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Runtime from "effect/Runtime"
import { signalCode } from "./exit.ts"
import { Printed, watchStdout } from "./printed.ts"
import * as Signals from "./signals.ts"

/** How long a signal waits for who reads stdout and stderr, in milliseconds. */
const flushMillis = 1000

/** Calls back when stdout and stderr have been written, as far as anybody reads them. */
const flushed = (done: () => void): void => {
  process.stdout.write("", () => process.stderr.write("", () => done()))
}

/**
 * Runs an effect that succeeds with the exit code. At the first signal whoever waits for it finishes, and otherwise the
 * effect is interrupted; what it has to finish is bounded by its own deadlines. The second one ends the process at
 * once.
 */
export const run = <E>(program: Effect.Effect<number, E>): void => {
  const told = new Signals.Told()
  const printed = watchStdout()
  Runtime.makeRunMain(({ fiber }) => {
    // A reader that is gone is no failure of ours; without a listener, it would be thrown.
    process.stderr.on("error", () => {})

    let signalled: number | undefined
    const onSignal = (signal: number) => () => {
      if (signal === Signals.numbers.SIGHUP && told.reloads()) return
      if (signalled !== undefined) process.exit(signalCode(signal))
      signalled = signal
      if (!told.tell(signal)) fiber.interruptUnsafe(fiber.id)
    }
    process.on("SIGINT", onSignal(Signals.numbers.SIGINT))
    process.on("SIGTERM", onSignal(Signals.numbers.SIGTERM))
    process.on("SIGHUP", onSignal(Signals.numbers.SIGHUP))

    fiber.addObserver((exit) => {
      const interrupted = signalled === undefined ? 1 : signalCode(signalled)
      const code = Exit.isSuccess(exit) && typeof exit.value === "number" ? exit.value : interrupted
      const end = () => process.exit(code)
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
