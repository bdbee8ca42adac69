/**
 * Which web pages may open a WebSocket here. A browser lets any page try, from its user's machine, and says only which
 * page it was: without anything that authenticates, that is all there is to keep them out.
 */
import { reachOf } from "../sockets/ip.ts"

/**
 * The origins whose pages may connect, as browsers write them (`https://app.example`), or `any`. Connections without an
 * origin come from no page, and may.
 */
export type Origins = "any" | ReadonlyArray<string>

export interface Rules {
  readonly origins: Origins
  /** The names by which this server may be called, or `any`. */
  readonly hosts: "any" | "loopback" | ReadonlyArray<string>
}

/** What an upgrade request says of where it comes from. */
export interface Asked {
  readonly origin: string | undefined
  readonly host: string | undefined
}

/** HOST or HOST:PORT, IPv6 in brackets. */
const hostname = (host: string): string =>
  host
    .toLowerCase()
    .replace(/:\d*$/, "")
    .replace(/^\[(.*)\]$/, "$1")

/** Why a request is refused; `undefined` when it is not. */
export const refusal = ({ origins, hosts }: Rules, { host, origin }: Asked): "Origin" | "Host" | undefined => {
  if (origins !== "any" && origin !== undefined && !origins.includes(origin)) return "Origin"
  if (hosts === "any") return undefined
  const name = hostname(host ?? "")
  // A page whose own name resolves to loopback is of one origin with us, and gives itself away by calling us by that
  // name.
  const known = hosts === "loopback" ? reachOf(name) === "device" : hosts.some((each) => hostname(each) === name)
  return known ? undefined : "Host"
}
