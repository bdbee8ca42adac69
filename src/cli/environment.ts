/** Checks the variables that a command is started with. `settings.ts` reads them, where their values are needed. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { type Command, check, variables } from "../variables.ts"
import { UsageError } from "./exit.ts"

export const unusable = (message: string): UsageError => new UsageError({ kind: "BadVariable", message })

const secret = variables.secret.name

/** A key in a variable is refused, not ignored: otherwise the command would use another key than its user thinks. */
const refuseSecret = Effect.flatMap(Effect.option(Config.String(secret)), (text) =>
  Option.isNone(text)
    ? Effect.void
    : Effect.fail(
        unusable(
          `${secret}: the command takes no key from a variable, which every child process inherits; use ` +
            "--key-file with a file, with - for stdin, or with /dev/fd/N for a descriptor"
        )
      )
)

/** Fails when a variable is unknown, when one of this command's is empty, or when a secret is set. */
export const checkVariables = (command: Command): Effect.Effect<void, UsageError> =>
  Effect.andThen(
    Effect.catchTag(
      check(({ commands }) => commands.includes(command)),
      "ConfigError",
      ({ cause }) => Effect.fail(unusable(cause.message))
    ),
    refuseSecret
  )
