/** The sections `ws://HOST[:PORT][/path?query]` and `wss://`, which differ in name and default port. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadHost, BadPath, Syntax } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault, faultAt, type Parsed } from "../address/fault.ts"
import { kindOfHost, toUrlHost } from "../address/host.ts"
import { Port, parseHost, parsePort, withoutBrackets } from "../address/hostPort.ts"
import { isWritable, textThat } from "../address/text.ts"
import { makeUnchecked } from "../schema/makeUnchecked.ts"

const UrlHost = textThat(
  "a host name in lower case and ASCII or a bare IP address, not .onion",
  (host) => kindOfHost(host) === "clear" && toUrlHost(host) === host
)

/** Characters that must be percent-encoded in a path, and `#`, which would end it. */
const notInPath = /["#'<>\\^`{|}]/

const UrlPath = textThat(
  "a percent-encoded path that begins with /",
  (path) => path.startsWith("/") && !notInPath.test(path) && isWritable(path)
)

const fields = { host: UrlHost, port: Port, path: UrlPath }

interface Fields {
  readonly host: string
  readonly port: number
  readonly path: string
}

/** HOST or [IPv6], then :PORT, then the path, query and fragment. */
const authorityAndPath = /^(\[[^[\]]*\]|[^:/?#[\]]*)(?::([^/?#]*))?([/?#].*)?$/s

const parse = (text: string, start: number, defaultPort: number): Parsed<Fields> => {
  if (!text.startsWith("//", start)) return fault(Syntax, start - 1, "://HOST[:PORT][/path]")
  const from = start + 2
  const [authority = ""] = text.slice(from).split(/[/?#]/, 1)
  if (authority.includes("@")) {
    return fault(
      BadHost,
      from,
      "HOST or HOST:PORT: credentials don't belong in an address, give them as request headers"
    )
  }
  const match = authorityAndPath.exec(text.slice(from))
  if (match === null) return fault(BadHost, from, "HOST or HOST:PORT, IPv6 in brackets")
  const [, written = "", portText, rest = ""] = match
  const host = parseHost(toUrlHost(withoutBrackets(written)), from, "clear")
  if (Result.isFailure(host)) return Result.fail(host.failure)
  const port = portText === undefined ? Result.succeed(defaultPort) : parsePort(portText, 0)
  if (Result.isFailure(port)) return faultAt(from + written.length + 1, port.failure)
  const odd = rest.search(notInPath)
  if (odd >= 0) {
    return fault(BadPath, text.length - rest.length + odd, "no fragment, and \" ' < > \\ ^ ` { | } as %xx")
  }
  return Result.succeed({
    host: host.success,
    port: port.success,
    path: rest.startsWith("/") ? rest : `/${rest}`
  })
}

/** The section without the leading `ws:` or `wss:`. */
const print = ({ host, path, port }: Fields, defaultPort: number): string => {
  const authority = host.includes(":") ? `[${host}]` : host
  return `//${authority}${port === defaultPort ? "" : `:${port}`}${path === "/" ? "" : path}`
}

/**
 * `ws://HOST[:PORT][/path?query]`, port 80 when none is written. The host is in lower case and ASCII; `path` begins
 * with `/` and holds the query.
 *
 * @category models
 * @since 0.1.0
 */
export class Ws extends Schema.TaggedClass<Ws>("effect-multiserver/Ws")("ws", fields) {
  static readonly [definition]: Definition<Ws> = {
    name: "ws",
    role: "transport",
    parse: (text, start) =>
      Result.map(parse(text, start, 80), ({ host, path, port }) => makeUnchecked(Ws, { _tag: "ws", host, port, path })),
    print: (section) => `ws:${print(section, 80)}`
  }
}

/**
 * Like `Ws`, but over TLS: `wss://HOST[:PORT][/path?query]`, port 443 when none is written.
 *
 * @category models
 * @since 0.1.0
 */
export class Wss extends Schema.TaggedClass<Wss>("effect-multiserver/Wss")("wss", fields) {
  static readonly [definition]: Definition<Wss> = {
    name: "wss",
    role: "transport",
    parse: (text, start) =>
      Result.map(parse(text, start, 443), ({ host, path, port }) =>
        makeUnchecked(Wss, { _tag: "wss", host, port, path })
      ),
    print: (section) => `wss:${print(section, 443)}`
  }
}
