/** Flags that are for some transports: without an address that has one of them, they are wrong usage. */
import * as Effect from "effect/Effect"
import type * as Address from "../Address.ts"
import { UsageError } from "./exit.ts"

/** A flag that has been given. */
export interface Given {
  readonly flag: string
  /** What it is for, in words. */
  readonly of: string
  readonly transports: ReadonlyArray<string>
}

/** The flag, where it has been given. */
export const given = (is: boolean, flag: string, of: string, ...transports: ReadonlyArray<string>) =>
  is ? [{ flag, of, transports }] : []

/** Fails when one has no address that it is for: what was meant by it would not happen, in silence. */
export const check = (
  flags: ReadonlyArray<Given>,
  addresses: Address.MultiAddress,
  how: "dialed" | "listened on"
): Effect.Effect<void, UsageError> => {
  const unused = flags.find((flag) => !addresses.some(({ transport }) => flag.transports.includes(transport._tag)))
  if (unused === undefined) return Effect.void
  const message = `${unused.flag} is for ${unused.of}, and none is ${how} here: leave it out, or give such an address`
  return Effect.fail(new UsageError({ kind: "Conflict", message }))
}
