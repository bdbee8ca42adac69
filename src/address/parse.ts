/** Parses addresses in time linear in the length of the text. */
import { isArrayNonEmpty, type NonEmptyReadonlyArray } from "effect/Array"
import * as Result from "effect/Result"
import { MissingSection, Syntax, TooLong } from "../AddressError.ts"
import type { Role } from "./definition.ts"
import { fault, faultAt, type Parsed } from "./fault.ts"
import { fits, maxAddressBytes, maxAddresses, maxSections } from "./limits.ts"
import { type AddressFields, printRevealed } from "./print.ts"
import { definitionFor, type Section } from "./section.ts"
import { findForbidden, indexOrEnd } from "./text.ts"

/** The protocol's name at the beginning of the section that stands from `start` to `end`. */
const nameIn = (text: string, start: number, end: number): string =>
  text.slice(start, indexOrEnd(text, ":", start, end))

/** Index of the next `~` that no `!` escapes; at or past the end when there is none. */
const endOfSection = (raw: string, from: number): number => {
  let i = from
  while (i < raw.length && raw[i] !== "~") i += raw[i] === "!" ? 2 : 1
  return i
}

/** `!` escapes the next character. At the end of the text it stands for itself. */
const unescape = (raw: string): string => (raw.includes("!") ? raw.replace(/!(.)/g, "$1") : raw)

/** The index in `raw` of the character that has this index in the unescaped text. */
const escapedIndex = (raw: string, index: number): number => {
  let at = 0
  for (let seen = 0; seen < index; seen++) at += raw[at] === "!" && at + 1 < raw.length ? 2 : 1
  return at
}

/** What is expected in the place of a section that may not stand there; `undefined` when it may. */
const misplaced = (name: string, role: Role, isFirst: boolean): string | undefined => {
  if (isFirst && role === "transform") return `a transport such as NAME:HOST:PORT before ${name}`
  if (!isFirst && role === "transport") return `a transform such as NAME:KEY, not the transport ${name}`
  return undefined
}

const tooLong = () => fault(TooLong, 0, `at most ${maxAddressBytes} bytes an address`)

/** Parses one address. */
const parseOne = (raw: string): Parsed<AddressFields> => {
  if (!fits(raw)) return tooLong()
  let transport: Section | undefined
  const transforms: Array<Section> = []
  const escaped = raw.includes("!")
  for (let from = 0; from <= raw.length; ) {
    if (transforms.length === maxSections - 1) return fault(TooLong, from, `at most ${maxSections} sections an address`)
    const end = escaped ? endOfSection(raw, from) : indexOrEnd(raw, "~", from)
    if (end === from) return fault(Syntax, from, "a section")
    // A section is read where it stands, from `start` to `stop`. With escapes, it is read from a text of its own.
    const text = escaped ? unescape(raw.slice(from, end)) : raw
    const start = escaped ? 0 : from
    const stop = escaped ? text.length : end
    const name = nameIn(text, start, stop)
    const { parse, role } = definitionFor(name)
    const parsed = parse(text, start + name.length + 1, stop, name)
    if (Result.isFailure(parsed)) {
      const { index } = parsed.failure
      return faultAt(escaped ? from + escapedIndex(raw.slice(from, end), index) : index, parsed.failure)
    }
    const expected = misplaced(name, role, transport === undefined)
    if (expected !== undefined) return fault(MissingSection, from, expected)
    if (transport === undefined) transport = parsed.success
    else transforms.push(parsed.success)
    from = end + 1
  }
  if (transport === undefined) return fault(Syntax, 0, "an address")
  const fields = { transport, transforms }
  // Printed, the address may be a little longer than the text that was read. It has to parse again, so it has to fit.
  return raw.length > maxAddressBytes / 4 && !fits(printRevealed(fields)) ? tooLong() : Result.succeed(fields)
}

/** Parses all addresses of a multi-address, and makes each from its fields. */
export const parseAll = <A>(text: string, make: (fields: AddressFields) => A): Parsed<NonEmptyReadonlyArray<A>> => {
  if (text.length > maxAddresses * (maxAddressBytes + 1)) {
    return fault(TooLong, 0, `at most ${maxAddresses} addresses of ${maxAddressBytes} bytes`)
  }
  if (text === "") return fault(Syntax, 0, "an address such as NAME:HOST:PORT~NAME:KEY, but the text is empty")
  const bad = findForbidden(text)
  if (bad >= 0) return fault(Syntax, bad, "no white space and no control character")
  const addresses: Array<A> = []
  for (let from = 0; from <= text.length; ) {
    if (addresses.length === maxAddresses) return fault(TooLong, from, `at most ${maxAddresses} addresses`)
    const end = indexOrEnd(text, ";", from)
    const parsed = parseOne(text.slice(from, end))
    if (Result.isFailure(parsed)) return faultAt(from + parsed.failure.index, parsed.failure)
    addresses.push(make(parsed.success))
    from = end + 1
  }
  return isArrayNonEmpty(addresses) ? Result.succeed(addresses) : fault(Syntax, 0, "an address")
}
