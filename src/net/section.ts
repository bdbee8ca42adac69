/** The section `net:HOST:PORT`. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { type Definition, definition } from "../address/definition.ts"
import { ClearHost, Port, parseHostPort } from "../address/hostPort.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

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
    parse: (text, start) =>
      Result.map(parseHostPort(text, start, "clear"), ({ host, port }) =>
        makeUnchecked(Net, { _tag: "net", host, port })
      ),
    print: ({ host, port }) => `net:${host}:${port}`
  }
}
