/** Reads a variable as a `Config`. One that can't be read is an error that names it. */
import * as Config from "effect/Config"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as SchemaIssue from "effect/SchemaIssue"
import { forms, type Variable } from "./table.ts"

/** An error of configuration. It never holds a value, because that may be a secret at the wrong place. */
export const invalid = (message: string): Config.ConfigError =>
  new Config.ConfigError(new Schema.SchemaError(new SchemaIssue.InvalidValue({ message })))

/** The error of a variable that cannot be read. Without a reason, it says what the variable takes. */
export const unreadable = ({ form, name }: Variable, why?: string): Config.ConfigError =>
  invalid(`${name}: ${why ?? `it takes ${forms[form].replaceAll("`", "")}`}`)

/** What the config of a variable says; where it is not set, the other value. */
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

/** Reads it by a parser whose error says why, so that it need not say what the variable takes. */
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
