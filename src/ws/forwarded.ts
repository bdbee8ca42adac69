/** Where an upgrade request comes from, when a proxy that is trusted has passed it on. */
import type { IncomingHttpHeaders } from "node:http"
import * as NetAddress from "effect/net/NetAddress"
import { contains, type Networks, parseIp } from "../Networks.ts"

/**
 * `203.0.113.7`, `203.0.113.7:4711`, `2001:db8::7` and `[2001:db8::7]:4711`: proxies write all of them. Written anew,
 * so that one IP is one source however it was spelled, and with whatever zone: that means nothing on this machine.
 */
const ipOf = (hop: string): string | undefined => {
  const bracketed = /^\[([^\]]*)\](?::\d+)?$/.exec(hop)
  const ip = parseIp(bracketed?.[1] ?? hop.replace(/^([^:]*):\d+$/, "$1"))
  return ip && NetAddress.formatIp(ip)
}

/**
 * The rightmost hop of X-Forwarded-For that is no trusted proxy: what is left of it was written by whoever it is. When
 * a hop is no IP, or all are trusted, it is the last one that is known.
 *
 * A peer without an IP came through a unix socket. Where there are trusted proxies, whoever reaches that is one.
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
