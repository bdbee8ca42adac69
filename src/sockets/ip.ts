/** What an IP or a host name says about how far it reaches. */
import * as os from "node:os"
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import { type Reach, within } from "../Transport.ts"

/** An IP as it is written elsewhere: without the mapping of IPv4 into IPv6. */
export const plainIp = (ip: string): string => (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(ip) ? ip.slice(7) : ip)

/** Whether binding it binds every interface. */
export const isWildcard = (host: string): boolean => host === "0.0.0.0" || host === "::"

const classify = (ip: NetAddress.IpAddress): Reach => {
  if (NetAddress.isLoopback(ip)) return "device"
  const local = NetAddress.isIpv4Address(ip) ? NetAddress.isPrivate(ip) : NetAddress.isUniqueLocal(ip)
  return local || NetAddress.isLinkLocal(ip) ? "local" : "public"
}

/** How far a host reaches. A name that is not `localhost` counts as public. */
export const reachOf = (host: string): Reach => {
  if (host === "localhost") return "device"
  if (isWildcard(host)) return "public"
  const ip = NetAddress.ipFromString(plainIp(host).replace(/%.*$/, ""))
  return Result.isSuccess(ip) ? classify(ip.success) : "public"
}

/**
 * This machine's own IPs that reach exactly as far: what a wildcard stands for. Without their zones, which mean nothing
 * elsewhere.
 */
const interfaceHosts = (wildcard: string, reach: Reach): ReadonlyArray<string> =>
  Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => (wildcard === "::" || family === "IPv4") && reachOf(address) === reach)
    .map(({ address }) => address.replace(/%.*$/, ""))

/** What to bind instead of a wildcard, so that nothing is reached from further away than `scope`. */
export const boundHosts = (host: string, scope: Reach): ReadonlyArray<string> => {
  if (!isWildcard(host)) return [host]
  return scope === "device" ? [host === "::" ? "::1" : "127.0.0.1"] : interfaceHosts(host, scope)
}

/** The hosts by which others within `scope` dial what is bound to `host`. A wildcard is never advertised literally. */
export const advertisedHosts = (host: string, scope: Reach, external: ReadonlyArray<string>): ReadonlyArray<string> => {
  // A hidden service leads to a loopback listener too; no other external host does.
  const leadsHere = external.filter((each) => each.endsWith(".onion") || reachOf(host) !== "device")
  if (scope === "public" && leadsHere.length > 0) return leadsHere
  if (!isWildcard(host)) return within(scope, reachOf(host)) ? [host.replace(/%.*$/, "")] : []
  return scope === "device" ? ["localhost"] : interfaceHosts(host, scope)
}
