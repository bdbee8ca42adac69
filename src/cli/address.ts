/** `multiserver address`: an address, parsed and explained. Seeds and tokens are hidden. */

import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Address from "../Address.ts"
import { manyLines, printableJson } from "../printable.ts"
import * as Addresses from "./addresses.ts"
import { Reporter, report } from "./reporter.ts"
import * as Settings from "./settings.ts"
import * as Stacks from "./stacks.ts"

interface Explained {
  readonly address: string
  readonly stack: string
  /** Whether `connect` and `listen` speak this stack. */
  readonly spoken: boolean
  readonly sections: ReadonlyArray<{
    readonly protocol: string
    readonly fields: Stacks.Fields
    readonly purpose: string
  }>
}

const explain = (self: Address.Address): Explained => ({
  address: Address.format(self),
  stack: self.stack,
  spoken: Stacks.speaks(self),
  sections: [self.transport, ...self.transforms].map((section) => {
    const protocol = Address.sectionName(section)
    const { fields, purpose } = Stacks.explanationOf(protocol)
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
    spoken ? `  This command speaks ${stack}.` : `  This command does not speak ${stack}, only ${Stacks.spoken}.`
  ].join("\n")

const formatJson = (all: ReadonlyArray<Explained>): string =>
  printableJson({
    addresses: all.map(({ sections, ...rest }) => ({
      ...rest,
      sections: sections.map((section) => ({ protocol: section.protocol, ...section.fields }))
    }))
  })

export const address = Command.make("address", {
  address: Addresses.address.pipe(Argument.withDescription("What to explain"), Argument.optional),
  addressFile: Addresses.fileFlag
}).pipe(
  Command.withDescription("Parse an address and explain it. Seeds and tokens are hidden."),
  Command.withExamples([{ command: `multiserver address '${Stacks.exampleAddress}'` }]),
  Command.withHandler((input) =>
    Effect.gen(function* () {
      yield* Settings.read("address")
      const { json } = yield* Reporter
      const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
      if (exposed) yield* report(Addresses.exposedWarning)
      const all = addresses.map(explain)
      yield* Console.log(json ? formatJson(all) : manyLines(all.map(format).join("\n\n")))
    })
  )
)
