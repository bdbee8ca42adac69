/**
 * Which web pages may open a WebSocket here. A browser lets any page try, from its user's machine, and only tells the
 * page's origin. In a stack that doesn't authenticate, nothing else can keep web pages out.
 */
import { reachOf } from "../sockets/ip.ts"

/**
 * The origins whose pages may connect, as browsers write them (`https://app.example`), or `any`. A connection without
 * an origin is not from a web page, and may connect in any case.
 *
 * @category models
 * @since 0.1.0
 */
export type Origins = "any" | ReadonlyArray<string>

/**
 * Whether the text is an origin as browsers send it. `null` is that of a page without one, such as a page from a file.
 */
export const isOrigin = (text: string): boolean =>
  text === "null" || (URL.canParse(text) && new URL(text).host !== "" && new URL(text).origin === text)

export interface Rules {
  readonly origins: Origins
  /** The host names that clients may use for this server, or `any`. */
  readonly hosts: "any" | "loopback" | ReadonlyArray<string>
}

/** The headers of an upgrade request that the rules look at. */
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
  // A page whose own name resolves to loopback has the same origin as this server. But the `Host` header shows that
  // name.
  const known = hosts === "loopback" ? reachOf(name) === "device" : hosts.some((each) => hostname(each) === name)
  return known ? undefined : "Host"
}
