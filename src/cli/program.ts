/** The command as an effect that succeeds with its exit code, for any stdio, console, environment and file system. */
import { createRequire } from "node:module"
import * as Cause from "effect/Cause"
import * as CliConfig from "effect/cli/CliConfig"
import * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Result from "effect/Result"
import { address } from "./address.ts"
import { bridge } from "./bridge.ts"
import { connect } from "./connect.ts"
import * as Events from "./events.ts"
import { codeOf, codes, signalCode } from "./exit.ts"
import { keygen } from "./keygen.ts"
import { listen } from "./listen.ts"
import { Printed } from "./printed.ts"
import { probe } from "./probe.ts"
import * as Reporter from "./reporter.ts"
import * as Usage from "./usage.ts"

const { version }: { readonly version: string } = createRequire(import.meta.url)("../../package.json")

const json = GlobalFlag.Setting("json")({
  flag: Flag.Boolean("json").pipe(
    Flag.withDescription("Events as JSON, one a line, on stderr"),
    Flag.withDefault(false)
  )
})

const quiet = GlobalFlag.Setting("quiet")({
  flag: Flag.Boolean("quiet").pipe(
    Flag.withAlias("q"),
    Flag.withDescription("Only errors on stderr"),
    Flag.withDefault(false)
  )
})

const verbose = GlobalFlag.Setting("verbose")({
  flag: Flag.Boolean("verbose").pipe(
    Flag.withAlias("v"),
    Flag.withDescription("Also the time and the number of the connection on each line, and what helps to find a fault"),
    Flag.withDefault(false)
  )
})

/** Effect's own flag, without its short form, which `--verbose` has. */
const printVersion = GlobalFlag.Action({
  flag: Flag.Boolean("version").pipe(Flag.withDescription("Show version information"), Flag.withDefault(false)),
  run: (_, { command, version }) =>
    CliOutput.Presenter.use(({ present }) => present({ _tag: "Version", name: command.name, version }))
})

const multiserver = Command.make("multiserver").pipe(
  Command.withDescription(`Talk to peers over typed addresses, byte for byte as the npm package multiserver does.
  Payload is on stdout, everything else on stderr.

  Exit codes:
    0   ok
    1   a file, a port or stdio of this machine failed
    2   wrong usage, a bad variable or address, or an address that is not spoken or is denied
    3   could not connect
    4   timed out
    5   handshake failed
    6   rejected after we authenticated: the peer refuses our key, or does not hold the key of the address
    7   connection broken or truncated
    130 SIGINT, 143 SIGTERM, 129 SIGHUP; listen and bridge exit 0 at the last two when nothing was cut off`),
  Command.withSubcommands([keygen, listen, connect, bridge, probe, address]),
  Command.withGlobalFlags([json, quiet, verbose])
)

/** Effect's wizard and its flag for log levels are left out, because they could print secrets. */
const builtIns = [GlobalFlag.Help, printVersion, GlobalFlag.Completions]

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
