/** What parsing comes to: a value, or the first fault with its place. */
import * as Result from "effect/Result"
import type { AddressReason } from "../AddressError.ts"

/** The class of a reason why a text is not an address. */
export type ReasonClass = new (fields: { readonly offset: number; readonly expected: string }) => AddressReason

/** A fault at an index of the text that was parsed. The caller adds where that text begins in its own. */
export interface Fault {
  readonly Reason: ReasonClass
  readonly index: number
  readonly expected: string
}

export type Parsed<A> = Result.Result<A, Fault>

export const fault = (Reason: ReasonClass, index: number, expected: string): Result.Result<never, Fault> =>
  Result.fail({ Reason, index, expected })

/** The same fault at another index. */
export const faultAt = (index: number, { expected, Reason }: Fault): Result.Result<never, Fault> =>
  fault(Reason, index, expected)
