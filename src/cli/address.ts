/** `multiserver address`: an address, parsed and explained. Seeds and tokens are hidden. */

import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Address from "../Address.ts"
import { manyLines, printableJson } from "../printable.ts"
import * as Addresses from "./addresses.ts"
import { checkVariables } from "./environment.ts"
import type * as Flags from "./flags.ts"
import { Reporter, report } from "./reporter.ts"
import * as Spoken from "./spoken.ts"

interface Explained {
  readonly address: string
  readonly stack: string
  /** Whether `connect` and `listen` speak this stack. */
  readonly spoken: boolean
  readonly sections: ReadonlyArray<{
    readonly protocol: string
    readonly fields: Spoken.Fields
    readonly purpose: string
  }>
}

const explain = (self: Address.Address): Explained => ({
  address: Address.format(self),
  stack: self.stack,
  spoken: Spoken.speaks(self),
  sections: [self.transport, ...self.transforms].map((section) => {
    const protocol = Address.sectionName(section)
    const { fields, purpose } = Spoken.explanationOf(protocol)
    return { protocol, fields: fields(section), purpose }
  })
})

const formatField = ([name, value]: readonly [string, string | number | boolean]): ReadonlyArray<string> => {
  if (value === false) return []
  const text = value === true ? "hidden; it is a secret, and whoever has it can dial with it" : value
  return [`        ${name.padEnd(5)} ${text}`]
}

/** As a person reads it. */
const format = ({ address, sections, spoken, stack }: Explained): string =>
  [
    address,
    ...sections.flatMap((section) => [
      `  ${section.protocol.padEnd(5)} ${section.purpose}`,
      ...Object.entries(section.fields).flatMap(formatField)
    ]),
    spoken ? `  This command speaks ${stack}.` : `  This command does not speak ${stack}, only ${Spoken.spoken}.`
  ].join("\n")

const formatJson = (all: ReadonlyArray<Explained>): string =>
  printableJson({
    addresses: all.map(({ sections, ...rest }) => ({
      ...rest,
      sections: sections.map((section) => ({ protocol: section.protocol, ...section.fields }))
    }))
  })

export const run = (input: Flags.Input<typeof Flags.ofAddress>) =>
  Effect.gen(function* () {
    yield* checkVariables("address")
    const { json } = yield* Reporter
    const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
    if (exposed) yield* report(Addresses.exposedWarning)
    const all = addresses.map(explain)
    yield* Console.log(json ? formatJson(all) : manyLines(all.map(format).join("\n\n")))
  })
