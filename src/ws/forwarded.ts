/** The source of an HTTP request, when a trusted proxy has forwarded it. */
import type { IncomingHttpHeaders } from "node:http"
import * as NetAddress from "effect/net/NetAddress"
import { contains, type Networks, parseIp } from "../Networks.ts"

/**
 * The IP of a hop. Proxies write `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7` and `[2001:db8::7]:4711`. It is
 * formatted anew, so that one IP is one source however it was written, and without a zone, which means nothing on this
 * machine.
 */
const ipOf = (hop: string): string | undefined => {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)
  const ip = parseIp(bracketed?.[1] ?? hop.replace(/^([^:]*):\d+$/, "$1"))
  return ip && NetAddress.formatIp(ip)
}

/**
 * The rightmost hop of X-Forwarded-For that is not a trusted proxy. That client may have made up everything left of it.
 * If a hop is not an IP, the source is the last hop before it, from the right. If all hops are trusted, it is the
 * leftmost.
 *
 * A peer without an IP came through a unix socket. If there are any trusted proxies, it counts as one of them.
 */
export const sourceOf = <Peer extends string | undefined>(
  peer: Peer,
  headers: IncomingHttpHeaders,
  trusted: Networks
): Peer | string => {
  const isTrusted = (ip: string | undefined): boolean =>
    ip === undefined ? trusted.networks.length > 0 : contains(trusted, ip)
  const header = headers["x-forwarded-for"]
  let source: Peer | string = peer
  if (header === undefined) return source
  const hops = [header].flat().join(",").split(",")
  for (let i = hops.length - 1; i >= 0 && isTrusted(source); i--) {
    const hop = ipOf((hops[i] ?? "").trim())
    if (hop === undefined) return source
    source = hop
  }
  return source
}
