/** What an IP or a host name says about how far it reaches. */
import * as net from "node:net"
import * as os from "node:os"
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "../Networks.ts"
import { type Reach, within } from "../Transport.ts"

/** An IP in plain form: an IPv4 that is mapped into IPv6 (`::ffff:192.0.2.1`) becomes IPv4. */
export const plainIp = (ip: string): string => (/^::ffff:\d+\.\d+\.\d+\.\d+$/i.test(ip) ? ip.slice(7) : ip)

/**
 * The IP and port that a dial to a host has reached. For an IPv4 the kernel is not asked, except for 0.0.0.0 and its
 * like, by which it means this machine.
 */
export const reached = (
  socket: net.Socket,
  { host, port }: { readonly host: string; readonly port: number }
): { readonly host: string; readonly port: number } =>
  net.isIPv4(host) && !host.startsWith("0.")
    ? { host, port }
    : { host: plainIp(socket.remoteAddress ?? "0.0.0.0"), port: socket.remotePort ?? 0 }

/** The wildcard that a host means, however it is written (`::0`); `undefined` for any other host. */
const wildcardOf = (host: string): "0.0.0.0" | "::" | undefined => {
  const ip = parseIp(host)
  if (ip === undefined || !NetAddress.isUnspecified(ip)) return undefined
  return NetAddress.isIpv4Address(ip) ? "0.0.0.0" : "::"
}

/** Whether a host is a wildcard, which binds every interface. */
export const isWildcard = (host: string): boolean => wildcardOf(host) !== undefined

/**
 * Whether a socket that is bound to an IP is the one that a host asks for: `exactly`, or `widely`. The wildcard of IPv4
 * asks widely for that of IPv6, whose socket takes IPv4 too. No name but `localhost` asks for any, as it may resolve to
 * another IP tomorrow.
 */
export const asksFor = (host: string, boundTo: string): "exactly" | "widely" | undefined => {
  const wildcard = wildcardOf(boundTo)
  if (wildcard !== undefined) {
    const asked = wildcardOf(host)
    if (asked === wildcard) return "exactly"
    return asked === "0.0.0.0" ? "widely" : undefined
  }
  if (host === "localhost") return boundTo === "127.0.0.1" || boundTo === "::1" ? "exactly" : undefined
  const [asked, bound] = [host, boundTo].map((text) => {
    const ip = parseIp(text)
    return ip && `${NetAddress.formatIp(ip)}${/%.*/.exec(text)?.[0] ?? ""}`
  })
  return asked !== undefined && asked === bound ? "exactly" : undefined
}

/** Whether a host is a link-local IPv6 (`fe80::1%eth0`): it needs an interface, so other machines can't dial it. */
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

/** What a wildcard stands for: this machine's IPs of exactly this reach, without those that need an interface. */
const interfaceHosts = (wildcard: "0.0.0.0" | "::", reach: Reach): ReadonlyArray<string> =>
  Object.values(os.networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .filter(({ address, family }) => (wildcard === "::" || family === "IPv4") && reachOf(address) === reach)
    .filter(({ address }) => !isZoned(address))
    .map(({ address }) => address.replace(/%.*$/, ""))

/** The hosts to bind. A wildcard is replaced, so that nothing can be reached from further away than `scope`. */
export const boundHosts = (host: string, scope: Reach): ReadonlyArray<string> => {
  const wildcard = wildcardOf(host)
  if (wildcard === undefined) return [host]
  return scope === "device" ? [wildcard === "::" ? "::1" : "127.0.0.1"] : interfaceHosts(wildcard, scope)
}

/**
 * The hosts by which others within `scope` dial what is bound to `host`. A wildcard is never advertised literally.
 * `reach` says how far the bound address reaches: for a name, that is known only after binding.
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
