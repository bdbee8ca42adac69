/** Where the command's addresses come from: arguments, a file, or the environment. */

import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Address from "../Address.ts"
import * as Invite from "../Invite.ts"
import { variables } from "../variables.ts"
import { type LocalError, UsageError } from "./exit.ts"
import { type Needs, readValue } from "./files.ts"
import * as Meant from "./meant.ts"

const variable = variables.address.name

export interface Given {
  readonly addresses: Address.MultiAddress
  /** Whether a seed or token was in the arguments, where every user of this machine can read it. */
  readonly exposed: boolean
}

/** The error, with what may have been meant. It never contains the text itself. */
const explained = (text: string, error: Address.AddressError): Address.AddressError => {
  const { reason } = error
  if (reason._tag !== "Syntax") return error
  const expected = `${reason.expected}${Meant.question(text)}`
  return new Address.AddressError({ reason: new Address.Syntax({ offset: reason.offset, expected }) })
}

/** Parses addresses, or an invite in one of its own forms. */
const parseOne = (text: string): Result.Result<Address.MultiAddress, Address.AddressError> => {
  const parsed = Address.parse(text)
  if (Result.isSuccess(parsed)) return parsed
  const invite = Invite.parse(text)
  if (Result.isSuccess(invite) || Invite.isLegacy(text)) return Result.map(invite, (address) => [address])
  return Result.fail(explained(text, parsed.failure))
}

const parse = (texts: ReadonlyArray<string>): Effect.Effect<Address.MultiAddress, Address.AddressError | UsageError> =>
  Effect.flatMap(
    Effect.forEach(texts, (text) => Effect.fromResult(parseOne(text))),
    (parsed) => {
      const [first, ...rest] = parsed.flat()
      return first === undefined
        ? Effect.fail(
            new UsageError({
              kind: "MissingArgument",
              message: `an ADDRESS is missing: give it as an argument, with --address-file, or in ${variable}`
            })
          )
        : Effect.succeed([first, ...rest] as const)
    }
  )

const fromVariable = Config.String(variable).pipe(
  Config.withDefault(undefined),
  Effect.flatMap((text) => parse(text === undefined ? [] : [text])),
  Effect.catchTag(["AddressError", "ConfigError"], ({ message }) =>
    Effect.fail(new UsageError({ kind: "BadVariable", message: `${variable}: ${message}` }))
  )
)

/** The addresses that were given: as arguments, in a file, or else in the variable. */
export const given = (
  texts: ReadonlyArray<string>,
  file: Option.Option<string>
): Effect.Effect<Given, Address.AddressError | UsageError | LocalError, Needs> =>
  Effect.gen(function* () {
    if (texts.length > 0) {
      if (Option.isSome(file)) {
        return yield* new UsageError({ kind: "Conflict", message: "both ADDRESS and --address-file: take one of them" })
      }
      const addresses = yield* parse(texts)
      return { addresses, exposed: addresses.some((each) => Address.withoutSecrets(each) !== each) }
    }
    if (Option.isSome(file)) return { addresses: yield* parse([yield* readValue(file.value)]), exposed: false }
    return { addresses: yield* fromVariable, exposed: false }
  })

/** The warning for addresses that are `exposed`. */
export const exposedWarning = {
  event: "warning",
  message:
    "a seed or token on the command line can be read by every user of this machine: use --address-file or " +
    `${variable}`
} as const
