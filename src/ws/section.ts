/** The sections `ws://HOST[:PORT][/path?query]` and `wss://`, which differ in name and default port. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadHost, BadPath, Syntax } from "../AddressError.ts"
import { type Definition, definition } from "../address/definition.ts"
import { fault, faultAt, type Parsed } from "../address/fault.ts"
import { kindOfHost, toUrlHost } from "../address/host.ts"
import { Port, parseHost, parsePort, withoutBrackets } from "../address/hostPort.ts"
import { isWritable, textThat } from "../address/text.ts"
import { blank } from "../schema/makeUnchecked.ts"

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

const credentials = /^[^/?#]*@/

/** HOST or [IPv6], then :PORT, then the path, query and fragment. */
const authorityAndPath = /^(\[[^[\]]*\]|[^:/?#[\]]*)(?::([^/?#]*))?([/?#].*)?$/s

const parse = <A>(
  text: string,
  start: number,
  end: number,
  defaultPort: number,
  make: (host: string, port: number, path: string) => A
): Parsed<A> => {
  const from = start + 2
  if (from > end || !text.startsWith("//", start)) return fault(Syntax, start - 1, "://HOST[:PORT][/path]")
  const data = text.slice(from, end)
  if (data.includes("@") && credentials.test(data)) {
    return fault(
      BadHost,
      from,
      "HOST or HOST:PORT: credentials don't belong in an address, give them as request headers"
    )
  }
  const match = authorityAndPath.exec(data)
  if (match === null) return fault(BadHost, from, "HOST or HOST:PORT, IPv6 in brackets")
  const [, written = "", portText, rest = ""] = match
  const host = parseHost(toUrlHost(withoutBrackets(written)), from, "clear")
  if (Result.isFailure(host)) return Result.fail(host.failure)
  const port = portText === undefined ? Result.succeed(defaultPort) : parsePort(portText, 0, portText.length)
  if (Result.isFailure(port)) return faultAt(from + written.length + 1, port.failure)
  const odd = rest === "" ? -1 : rest.search(notInPath)
  if (odd >= 0) {
    return fault(BadPath, end - rest.length + odd, "no fragment, and \" ' < > \\ ^ ` { | } as %xx")
  }
  return Result.succeed(make(host.success, port.success, rest.startsWith("/") ? rest : `/${rest}`))
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
    parse: (text, start, end) => parse(text, start, end, 80, makeWs),
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
    parse: (text, start, end) => parse(text, start, end, 443, makeWss),
    print: (section) => `wss:${print(section, 443)}`
  }
}

const makeWs = (host: string, port: number, path: string): Ws => {
  const section = blank(Ws)
  section._tag = "ws"
  section.host = host
  section.port = port
  section.path = path
  return section
}

const makeWss = (host: string, port: number, path: string): Wss => {
  const section = blank(Wss)
  section._tag = "wss"
  section.host = host
  section.port = port
  section.path = path
  return section
}
