/** Parses addresses in time linear in the length of the text. */
import * as Result from "effect/Result"
import { MissingSection, Syntax, TooLong } from "../AddressError.ts"
import type { Role } from "./definition.ts"
import { fault, faultAt, type Parsed } from "./fault.ts"
import { fits, maxAddressBytes, maxAddresses, maxSections } from "./limits.ts"
import { type AddressFields, printRevealed } from "./print.ts"
import { definitionFor, type Section } from "./section.ts"
import { findForbidden } from "./text.ts"

/** The protocol's name at the beginning of a section. */
const nameIn = (section: string): string => {
  const colon = section.indexOf(":")
  return colon < 0 ? section : section.slice(0, colon)
}

const indexOrEnd = (text: string, character: string, from: number): number => {
  const index = text.indexOf(character, from)
  return index < 0 ? text.length : index
}

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
const misplaced = (name: string, role: Role, index: number): string | undefined => {
  if (index === 0 && role === "transform") return `a transport such as NAME:HOST:PORT before ${name}`
  if (index > 0 && role === "transport") return `a transform such as NAME:KEY, not the transport ${name}`
  return undefined
}

/** Parses one address. */
const parseOne = (raw: string): Parsed<AddressFields> => {
  const tooLong = () => fault(TooLong, 0, `at most ${maxAddressBytes} bytes an address`)
  if (!fits(raw)) return tooLong()
  const sections: Array<Section> = []
  const escaped = raw.includes("!")
  for (let from = 0; from <= raw.length; ) {
    if (sections.length === maxSections) return fault(TooLong, from, `at most ${maxSections} sections an address`)
    const end = escaped ? endOfSection(raw, from) : indexOrEnd(raw, "~", from)
    if (end === from) return fault(Syntax, from, "a section")
    const rawSection = raw.slice(from, end)
    const text = unescape(rawSection)
    const name = nameIn(text)
    const { parse, role } = definitionFor(name)
    const parsed = parse(text, name.length + 1)
    if (Result.isFailure(parsed)) {
      return faultAt(from + escapedIndex(rawSection, parsed.failure.index), parsed.failure)
    }
    const expected = misplaced(name, role, sections.length)
    if (expected !== undefined) return fault(MissingSection, from, expected)
    sections.push(parsed.success)
    from = end + 1
  }
  const [transport, ...transforms] = sections
  if (transport === undefined) return fault(Syntax, 0, "an address")
  const fields = { transport, transforms }
  // Printed, the address may be a little longer than the text that was read. It has to parse again, so it has to fit.
  return raw.length > maxAddressBytes / 4 && !fits(printRevealed(fields)) ? tooLong() : Result.succeed(fields)
}

/** Parses all addresses of a multi-address, and makes each from its fields. */
export const parseAll = <A>(
  text: string,
  make: (fields: AddressFields) => A
): Parsed<readonly [A, ...ReadonlyArray<A>]> => {
  if (text.length > maxAddresses * (maxAddressBytes + 1)) {
    return fault(TooLong, 0, `at most ${maxAddresses} addresses of ${maxAddressBytes} bytes`)
  }
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
  const [first, ...rest] = addresses
  return first === undefined ? fault(Syntax, 0, "an address") : Result.succeed([first, ...rest])
}
