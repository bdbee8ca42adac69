/** The result of parsing: a value, or the first fault and its place. */
import * as Result from "effect/Result"
import type { AddressReason } from "../AddressError.ts"

/** The class of a reason why a text is not an address. */
export type ReasonClass = new (fields: { readonly offset: number; readonly expected: string }) => AddressReason

/** A fault at an index of the parsed text. A caller that parsed a part of a longer text adds where the part begins. */
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
