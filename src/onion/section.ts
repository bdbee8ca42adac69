/** The section `onion:HOST:PORT`. */
import * as Schema from "effect/Schema"
import { type Definition, definition } from "../address/definition.ts"
import { kindOfHost } from "../address/host.ts"
import { Port, parseHostPort } from "../address/hostPort.ts"
import { textThat } from "../address/text.ts"
import { blank } from "../schema/makeUnchecked.ts"

/**
 * `onion:HOST:PORT`, a Tor onion service. The host ends in `.onion`.
 *
 * @category models
 * @since 0.1.0
 */
export class Onion extends Schema.TaggedClass<Onion>("effect-multiserver/Onion")("onion", {
  host: textThat("a host that ends in .onion", (host) => kindOfHost(host) === "onion"),
  port: Port
}) {
  static readonly [definition]: Definition<Onion> = {
    name: "onion",
    role: "transport",
    parse: (text, start, end) => parseHostPort(text, start, end, "onion", make),
    print: ({ host, port }) => `onion:${host}:${port}`
  }
}

const make = (host: string, port: number): Onion => {
  const section = blank(Onion)
  section._tag = "onion"
  section.host = host
  section.port = port
  return section
}
