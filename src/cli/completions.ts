/** Scripts by which shells complete the command: Effect's, with the flags that every command takes. */
import * as Console from "effect/Console"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"
import * as GlobalFlag from "effect/cli/GlobalFlag"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as GlobalFlags from "./globalFlags.ts"

const { flag } = GlobalFlag.Completions

/** Effect describes a command without its global flags. So these are described as those of a command of their own. */
const everywhere = Command.make("everywhere", {
  json: GlobalFlags.json,
  quiet: GlobalFlags.quiet,
  verbose: GlobalFlags.verbose,
  help: GlobalFlag.Help.flag,
  version: GlobalFlags.version,
  completions: flag
})

/** No flag is set unless it is given, so none has a use for its negation, such as `--no-race`. */
const complete = (descriptor: Completions.CommandDescriptor): Completions.CommandDescriptor => ({
  ...descriptor,
  flags: [...descriptor.flags, ...Completions.fromCommand(everywhere).flags].map((each) => ({
    ...each,
    negation: false
  })),
  subcommands: descriptor.subcommands.map(complete)
})

export const script = (command: Command.Command.Any, shell: Completions.Shell): string =>
  Completions.generate(command.name, shell, complete(Completions.fromCommand(command)))

/** `--completions`. */
export const print = GlobalFlag.Action({
  flag,
  run: (shell, { command }) => (Option.isNone(shell) ? Effect.void : Console.log(script(command, shell.value)))
})
