/** `multiserver address`: an address, parsed and explained. Seeds and tokens are hidden. */

import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Address from "../Address.ts"
import { formatPublicKey } from "../Identity.ts"
import * as Addresses from "./addresses.ts"
import { Reporter, report } from "./events.ts"
import * as Stacks from "./stacks.ts"

type Value = string | number | boolean
type Fields = Readonly<Record<string, Value>>

/** What a section says. */
const fields = (section: Address.Section): Fields => {
  switch (section._tag) {
    case "net":
    case "onion":
      return { host: section.host, port: section.port }
    case "ws":
    case "wss":
      return { host: section.host, port: section.port, path: section.path }
    case "unix":
      return { path: section.path }
    case "memory":
      return { name: section.name }
    case "shs":
      return section.publicKey === undefined
        ? {}
        : { key: formatPublicKey(section.publicKey), seed: section.seed !== undefined }
    case "noise":
      return section.publicKey === undefined
        ? {}
        : { key: formatPublicKey(section.publicKey), token: section.token !== undefined }
    case "noauth":
      return {}
    case "opaque":
      return section.data === "" ? {} : { data: section.data }
  }
}

const purposes: Readonly<Record<string, string>> = {
  net: "TCP",
  ws: "WebSocket",
  wss: "WebSocket over TLS",
  unix: "a unix socket",
  onion: "a Tor onion service",
  memory: "within one process",
  shs: "encrypted, both sides proved by their keys",
  noise: "encrypted, both sides proved by their keys",
  noauth: "no encryption, no authentication",
  deflate: "compression"
}

interface Explained {
  readonly address: string
  readonly stack: string
  /** Whether `connect` and `listen` speak this stack. */
  readonly spoken: boolean
  readonly sections: ReadonlyArray<{ readonly protocol: string; readonly fields: Fields; readonly purpose: string }>
}

const explain = (self: Address.Address): Explained => ({
  address: Address.format(self),
  stack: self.stack,
  spoken: Stacks.speaks(self),
  sections: [self.transport, ...self.transforms].map((section) => ({
    protocol: Address.sectionName(section),
    fields: fields(section),
    purpose: purposes[Address.sectionName(section)] ?? "not known here"
  }))
})

const formatField = ([name, value]: readonly [string, Value]): ReadonlyArray<string> => {
  if (value === false) return []
  const text = name === "seed" ? "hidden; it is a private key, and who dials with it speaks as that key" : value
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
  JSON.stringify({
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
  Command.withExamples([{ command: "multiserver address 'net:pub.example:8008~shs:KEY'" }]),
  Command.withHandler((input) =>
    Effect.gen(function* () {
      const { json } = yield* Reporter
      const { addresses, exposed } = yield* Addresses.given(Option.toArray(input.address), input.addressFile)
      if (exposed) yield* report(Addresses.exposedWarning)
      const all = addresses.map(explain)
      yield* Console.log(json ? formatJson(all) : all.map(format).join("\n\n"))
    })
  )
)
