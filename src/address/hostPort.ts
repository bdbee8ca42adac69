/** `HOST:PORT`, as several transports write it. */
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { BadHost, BadPort } from "../AddressError.ts"
import { fault, type Parsed } from "./fault.ts"
import { kindOfHost } from "./host.ts"
import { textThat } from "./text.ts"

const zero = 48
const colon = 58

/** A host that DNS may be asked for, or an IP. */
export const ClearHost = textThat(
  "a host name or a bare IP address, not .onion",
  (host) => kindOfHost(host) === "clear"
)

/** Port 0 is for listening only: the system picks one. */
export const Port = Schema.Number.check(
  Schema.makeFilter((port) => (Number.isInteger(port) && port >= 0 && port <= 65535) || "expected a port, 0 to 65535")
)

/** Reads a port, which must be all of the text from `start` to `end`. Not a number when it is none. */
const readPort = (text: string, start: number, end: number): number => {
  const length = end - start
  if (length < 1 || length > 5 || (length > 1 && text.charCodeAt(start) === zero)) return Number.NaN
  let port = 0
  for (let at = start; at < end; at++) {
    const digit = text.charCodeAt(at) - zero
    if (digit < 0 || digit > 9) return Number.NaN
    port = 10 * port + digit
  }
  return port
}

/** Parses a port, which must be all of the text from `start` to `end`. */
export const parsePort = (text: string, start: number, end: number): Parsed<number> => {
  const port = readPort(text, start, end)
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

/**
 * Parses the `HOST:PORT` between `start` and `end`, and makes a section of it. The last colon splits it, so
 * IPv6 needs no brackets, but may have them.
 */
export const parseHostPort = <A>(
  text: string,
  start: number,
  end: number,
  kind: "clear" | "onion",
  make: (host: string, port: number) => A
): Parsed<A> => {
  // The colon is near the end. To find it by `lastIndexOf` takes longer.
  let split = end - 1
  while (split >= start && text.charCodeAt(split) !== colon) split--
  if (split < start) return fault(BadPort, end, "a port, as in HOST:PORT")
  const port = parsePort(text, split + 1, end)
  if (Result.isFailure(port)) return Result.fail(port.failure)
  const written = text.slice(start, split)
  // An empty host, as in `net::8008`, is localhost in 3.8.2 too.
  const host = parseHost(written === "" ? "localhost" : withoutBrackets(written), start, kind)
  return Result.isFailure(host) ? Result.fail(host.failure) : Result.succeed(make(host.success, port.success))
}
