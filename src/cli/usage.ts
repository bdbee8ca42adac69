/** Help and wrong usage: help that was asked for is payload, for stdout; everything else goes to stderr. */

import * as Console from "effect/Console"
import type * as CliError from "effect/cli/CliError"
import * as CliOutput from "effect/cli/CliOutput"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { fromError } from "./events.ts"
import { UsageError } from "./exit.ts"
import { Reporter } from "./reporter.ts"

/** The flag, if it looks like one. Anything else may be a secret that begins with a dash, and is not repeated. */
const shownFlag = (option: string): string => (/^--[a-z][a-z-]{0,30}$/.test(option) ? ` ${option}` : "")

const suggestion = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : `; did you mean ${suggestions.join(" or ")}?`

/** What is wrong, without repeating a value: any value may be an address with a seed, given in the wrong place. */
const explain = (error: CliError.NonShowHelpErrors): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `unknown flag${shownFlag(error.option)}${suggestion(error.suggestions)}`
    case "DuplicateOption":
      return `--${error.option} is given twice`
    case "MissingOption":
      return `--${error.option} is missing`
    case "MissingArgument":
      return `${error.argument.toUpperCase()} is missing`
    case "UnexpectedArgument":
      return "too many arguments"
    case "InvalidValue":
      return error.value === "" ? `--${error.option} needs a value` : `--${error.option} can't take this value`
    case "UnknownSubcommand":
      return `unknown command${suggestion(error.suggestions)}`
    case "ValidationError":
    case "UserError":
      return "wrong usage"
  }
}

/** Replaces Effect's presenter, which prints help for wrong usage to stdout, and repeats values. */
export const layer: Layer.Layer<never, never, Reporter> = Layer.effect(
  CliOutput.Presenter,
  Effect.map(Reporter, ({ json, say }) => ({
    present: (event: CliOutput.Presenter.Event): Effect.Effect<void> => {
      switch (event._tag) {
        case "Version":
          return Console.log(event.version)
        case "Help": {
          if (event.reason === "Requested") return CliOutput.defaultPresenter.present(event)
          const message =
            "a command is missing: keygen, listen, connect, bridge, probe or address; --help explains them"
          return say(fromError(new UsageError({ kind: "MissingCommand", message })))
        }
        case "InvalidInvocation": {
          const [first] = event.errors
          const kind = first?._tag ?? "UsageError"
          const help = json ? "" : `\n${event.helpDoc.usage}\n--help explains it`
          return say(fromError(new UsageError({ kind, message: event.errors.map(explain).join("; ") + help })))
        }
      }
    }
  }))
)
