/** The command as an effect that succeeds with its exit code, for any stdio, console, environment and file system. */
import { createRequire } from "node:module"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { builtIns, multiserver } from "./commands.ts"
import * as Events from "./events.ts"
import { codeOf, codes, signalCode } from "./exit.ts"
import { Printed } from "./printed.ts"
import * as Reporter from "./reporter.ts"
import * as Usage from "./usage.ts"

const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

export const program = Command.run(multiserver, { version, renderErrors: true }).pipe(
  Effect.andThen(Effect.flatten(Printed)),
  Effect.as(codes.ok),
  Effect.catchCause((cause) => {
    if (Cause.hasInterruptsOnly(cause)) return Effect.failCause(cause)
    const failure = Cause.findError(cause)
    if (Result.isFailure(failure)) return Effect.as(Reporter.report(Events.fromDefect(cause)), codes.local)
    const error = failure.success
    // The presenter has reported wrong usage already (`usage.ts`).
    if (CliError.isCliError(error)) return Effect.succeed(codes.usage)
    if (error._tag === "Signalled") return Effect.succeed(signalCode(error.signal))
    return Effect.as(Reporter.report(Events.fromError(error)), codeOf(error))
  }),
  Effect.provide(
    Layer.mergeAll(Usage.layer, Reporter.layerLogger, CliConfig.layer({ builtIns })).pipe(
      Layer.provideMerge(Reporter.layer)
    )
  )
)
