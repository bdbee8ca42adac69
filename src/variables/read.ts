/** Reads variables as `Config`s. The error of a variable that can't be read names it. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { forms, type Variable } from "./table.ts"

/** An error of configuration. It never contains the value, which may be a secret in the wrong variable. */
export const invalid = (message: string): Config.ConfigError =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** The error of a variable that can't be read. Without `why` it says what the variable takes. */
export const unreadable = ({ form, name }: Variable, why?: string): Config.ConfigError =>
  invalid(`${name}: ${why ?? `it takes ${forms[form].replaceAll("`", "")}`}`)

/** The value of a variable, or `otherwise` where it is not set. */
const read = <A, B>(variable: Variable, config: Config.Config<A>, otherwise: B): Config.Config<A | B> =>
  config.pipe(
    Config.withDefault(otherwise),
    Config.orElse(({ cause }) => Config.fail(cause._tag === "SourceError" ? cause : unreadable(variable).cause))
  )

export const readDuration = (variable: Variable, otherwise: Duration.Duration): Config.Config<Duration.Duration> =>
  read(variable, Config.schema(Schema.DurationFromString.check(notNegative), variable.name), otherwise)
const notNegative = Schema.makeFilter((duration: Duration.Duration) => !Duration.isNegative(duration))

export const readCount = (variable: Variable, otherwise: number): Config.Config<number> =>
  read(variable, Config.schema(count, variable.name), otherwise)
const count = Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThan(0))

export const readBoolean = (variable: Variable, otherwise: boolean): Config.Config<boolean> =>
  read(variable, Config.Boolean(variable.name), otherwise)

/** Reads the path of a file. */
export const readPath = (variable: Variable): Config.Config<string | undefined> =>
  read(variable, Config.String(variable.name), undefined)

/**
 * Reads texts separated by commas; one comma may follow the last. There is at least one text, which may be empty.
 * `undefined`: the variable is not set.
 */
export const readTexts = (variable: Variable): Config.Config<ReadonlyArray<string> | undefined> =>
  Config.map(read(variable, Config.String(variable.name), undefined), (text) => {
    const texts = text?.split(",").map((each) => each.trim())
    return texts !== undefined && texts.length > 1 && texts.at(-1) === "" ? texts.slice(0, -1) : texts
  })

/**
 * Reads a variable with a parser. The parser's error becomes part of the message, instead of what the variable takes.
 */
export const readBy = <A, B>(
  variable: Variable,
  parse: (text: string) => Result.Result<A, { readonly message: string }>,
  otherwise: B
): Config.Config<A | B> =>
  read(variable, Config.String(variable.name), undefined).pipe(
    Config.mapEffect((text): Effect.Effect<A | B, Config.ConfigError> => {
      if (text === undefined) return Effect.succeed(otherwise)
      return Effect.fromResult(Result.mapError(parse(text), ({ message }) => unreadable(variable, message)))
    })
  )
