/** Flags that are for certain transports. Such a flag is wrong usage if no address has one of its transports. */
import * as Effect from "effect/Effect"
import type * as Address from "../Address.ts"
import { UsageError } from "./exit.ts"
import { isPeer } from "./spoken.ts"

/** A flag that has been given. */
export interface Given {
  readonly flag: string
  /** What it is for, in words. */
  readonly of: string
  readonly transports: ReadonlyArray<string>
}

/** A list with the flag, or an empty one if the flag has not been given. */
export const given = (is: boolean, flag: string, of: string, ...transports: ReadonlyArray<string>) =>
  is ? [{ flag, of, transports }] : []

/**
 * Fails if a given flag is for none of the addresses: it would silently do nothing. The addresses of `peer:KEY` may be
 * of any transport.
 */
export const check = (
  flags: ReadonlyArray<Given>,
  addresses: Address.MultiAddress,
  how: "dialed" | "listened on"
): Effect.Effect<void, UsageError> => {
  if (addresses.some(isPeer)) return Effect.void
  const unused = flags.find((flag) => !addresses.some(({ transport }) => flag.transports.includes(transport._tag)))
  if (unused === undefined) return Effect.void
  const message = `${unused.flag} is for ${unused.of}, and none is ${how} here: leave it out, or give such an address`
  return Effect.fail(new UsageError({ kind: "Conflict", message }))
}
