/** Who is let in: the keys of `--allow`. */
import * as Effect from "effect/Effect"
import type * as Address from "../Address.ts"
import * as Policy from "../Policy.ts"
import { variables } from "../variables.ts"
import { UsageError } from "./exit.ts"
import * as Spoken from "./spoken.ts"

const wrong = () => new UsageError({ kind: "BadValue", message: "--allow takes base64 of a 32-byte public key" })

/**
 * The keys of `--allow`, or else of the settings. `undefined`: every peer that passes the handshake. Refused on a stack
 * that does not authenticate, where the list would keep nobody out.
 */
export const parse = (
  texts: ReadonlyArray<string>,
  byDefault: Policy.Keys | undefined,
  addresses: Address.MultiAddress
): Effect.Effect<Policy.Keys | undefined, UsageError> =>
  Effect.gen(function* () {
    const given = texts.length === 0 ? undefined : yield* Effect.mapError(Policy.makeKeys(texts), wrong)
    const keys = given ?? byDefault
    const open = addresses.find((each) => !Spoken.authenticates(each.stack))
    if (keys === undefined || open === undefined) return keys
    const from = given === undefined ? variables.allowedKeys.name : "--allow"
    const message = `${from}: ${open.stack} does not authenticate its peers`
    return yield* new UsageError({ kind: "Conflict", message })
  })
