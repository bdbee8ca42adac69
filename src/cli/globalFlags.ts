/** The flags that every command takes. */
import * as Flag from "effect/cli/Flag"

export const json = Flag.Boolean("json").pipe(
  Flag.withDescription("Events as JSON, one a line, on stderr"),
  Flag.withDefault(false)
)

export const quiet = Flag.Boolean("quiet").pipe(
  Flag.withAlias("q"),
  Flag.withDescription("Only errors on stderr"),
  Flag.withDefault(false)
)

export const verbose = Flag.Boolean("verbose").pipe(
  Flag.withAlias("v"),
  Flag.withDescription("Also the time and the number of the connection on each line, and what helps to find a fault"),
  Flag.withDefault(false)
)

/** Effect's own flag, without its short form, which `--verbose` has. */
export const version = Flag.Boolean("version").pipe(
  Flag.withDescription("Show version information"),
  Flag.withDefault(false)
)
