/** The section `net:HOST:PORT`. */
import * as Schema from "effect/Schema"
import { type Definition, definition } from "../address/definition.ts"
import { ClearHost, Port, parseHostPort } from "../address/hostPort.ts"
import { blank } from "../schema/makeUnchecked.ts"

/**
 * `net:HOST:PORT`, TCP. An IPv6 host has no brackets. Port 0 is for listening only: the system picks a free port.
 *
 * @category models
 * @since 0.1.0
 */
export class Net extends Schema.TaggedClass<Net>("effect-multiserver/Net")("net", {
  host: ClearHost,
  port: Port
}) {
  static readonly [definition]: Definition<Net> = {
    name: "net",
    role: "transport",
    parse: (text, start, end) => parseHostPort(text, start, end, "clear", make),
    print: ({ host, port }) => `net:${host}:${port}`
  }
}

const make = (host: string, port: number): Net => {
  const section = blank(Net)
  section._tag = "net"
  section.host = host
  section.port = port
  return section
}
