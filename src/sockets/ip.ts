/** What an IP or a host name says about how far it reaches. */
import * as os from "node:os"
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "../Networks.ts"
import { type Reach, within } from "../Transport.ts"

/** An IP as it is written elsewhere: without the mapping of IPv4 into IPv6. */
export const plainIp = (ip: string): string => (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(ip) ? ip.slice(7) : ip)

/** The wildcard that a host is, however it is written (`::0`): binding it binds every interface. */
const wildcardOf = (host: string): "0.0.0.0" | "::" | undefined => {
  const ip = parseIp(host)
  if (ip === undefined || !NetAddress.isUnspecified(ip)) return undefined
  return NetAddress.isIpv4Address(ip) ? "0.0.0.0" : "::"
}

/** Whether binding it binds every interface. */
export const isWildcard = (host: string): boolean => wildcardOf(host) !== undefined

/** An IPv6 that means nothing without an interface, and that nobody elsewhere can name: `fe80::1%eth0`. */
const isZoned = (host: string): boolean => {
  const ip = parseIp(host)
  return ip !== undefined && NetAddress.isIpv6Address(ip) && NetAddress.isLinkLocal(ip)
}

const classify = (ip: NetAddress.IpAddress): Reach => {
  if (NetAddress.isLoopback(ip)) return "device"
  const local = NetAddress.isIpv4Address(ip) ? NetAddress.isPrivate(ip) : NetAddress.isUniqueLocal(ip)
  return local || NetAddress.isLinkLocal(ip) ? "local" : "public"
}

/** How far a host reaches. A name that is not `localhost` counts as public. */
export const reachOf = (host: string): Reach => {
  if (host === "localhost") return "device"
  if (isWildcard(host)) return "public"
  const ip = parseIp(host)
  return ip === undefined ? "public" : classify(ip)
}

/** This machine's own IPs that reach exactly as far and can be named elsewhere: what a wildcard stands for. */
const interfaceHosts = (wildcard: "0.0.0.0" | "::", reach: Reach): ReadonlyArray<string> =>
  Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => (wildcard === "::" || family === "IPv4") && reachOf(address) === reach)
    .filter(({ address }) => !isZoned(address))
    .map(({ address }) => address.replace(/%.*$/, ""))

/** What to bind instead of a wildcard, so that nothing is reached from further away than `scope`. */
export const boundHosts = (host: string, scope: Reach): ReadonlyArray<string> => {
  const wildcard = wildcardOf(host)
  if (wildcard === undefined) return [host]
  return scope === "device" ? [wildcard === "::" ? "::1" : "127.0.0.1"] : interfaceHosts(wildcard, scope)
}

/**
 * The hosts by which others within `scope` dial what is bound to `host`. A wildcard is never advertised literally. What
 * is bound reaches as far as `reach`, which of a name is known only then.
 */
export const advertisedHosts = (
  host: string,
  scope: Reach,
  external: ReadonlyArray<string>,
  reach: Reach = reachOf(host)
): ReadonlyArray<string> => {
  // A hidden service leads to a loopback listener too; no other external host does.
  const leadsHere = external.filter((each) =>
    each.endsWith(".onion") ? scope === "public" : reach !== "device" && reachOf(each) === scope && !isWildcard(each)
  )
  if (scope !== "device" && leadsHere.length > 0) return leadsHere
  const wildcard = wildcardOf(host)
  if (wildcard !== undefined) return scope === "device" ? ["localhost"] : interfaceHosts(wildcard, scope)
  if (!within(scope, reach)) return []
  if (isZoned(host)) return scope === "device" ? [host] : []
  return [host.replace(/%.*$/, "")]
}
