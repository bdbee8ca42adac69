/** `HOST:PORT`, as several transports write it. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadHost, BadPort } from "../AddressError.ts"
import { fault, type Parsed } from "./fault.ts"
import { kindOfHost } from "./host.ts"
import { textThat } from "./text.ts"

/** A host that DNS may be asked for, or an IP. */
export const ClearHost = textThat(
  "a host name or a bare IP address, not .onion",
  (host) => kindOfHost(host) === "clear"
)

/** Port 0 is for listening only: the system picks one. */
export const Port = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 65535 }))

/** Parses a port, which must be all of the text from `start` on. */
export const parsePort = (text: string, start: number): Parsed<number> => {
  const digits = text.slice(start)
  const port = /^(?:0|[1-9]\d{0,4})$/.test(digits) ? Number(digits) : Number.NaN
  return port <= 65535 ? Result.succeed(port) : fault(BadPort, start, "a decimal port, 0 (to listen) to 65535")
}

/** The host, if it is of the wanted kind. `index` is its place, for the fault. */
export const parseHost = (host: string, index: number, wanted: "clear" | "onion"): Parsed<string> => {
  const kind = kindOfHost(host)
  if (kind === wanted) return Result.succeed(host)
  if (wanted === "onion") return fault(BadHost, index, "a host that ends in .onion")
  return kind === "onion"
    ? fault(BadHost, index, "a host outside .onion: an onion service is written onion:NAME:PORT")
    : fault(BadHost, index, "a host name or an IP address")
}

export const withoutBrackets = (host: string): string =>
  host.startsWith("[") && host.endsWith("]") && host.includes(":") ? host.slice(1, -1) : host

/** Parses `HOST:PORT` from `start` on. The last colon splits it, so IPv6 needs no brackets, but may have them. */
export const parseHostPort = (
  text: string,
  start: number,
  kind: "clear" | "onion"
): Parsed<{ readonly host: string; readonly port: number }> => {
  const colon = text.lastIndexOf(":")
  if (colon < start) return fault(BadPort, text.length, "a port, as in HOST:PORT")
  const port = parsePort(text, colon + 1)
  if (Result.isFailure(port)) return Result.fail(port.failure)
  const written = text.slice(start, colon)
  // An empty host, as in `net::8008`, is localhost in 3.8.2 too.
  const host = written === "" ? "localhost" : withoutBrackets(written)
  return Result.map(parseHost(host, start, kind), (host) => ({ host, port: port.success }))
}
