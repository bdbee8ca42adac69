/** Who counts as one source: an IPv4 address, and of IPv6 the 56 bits that a provider gives to one customer. */
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "../Networks.ts"

const isLoopback = (ip: string): boolean => ip.startsWith("127.") || ip === "::1"

/** The name of an IP's source; empty for those that are not counted. */
export const sourceKey = (ip: string | undefined, exemptLoopback: boolean): string => {
  if (ip === undefined || (exemptLoopback && isLoopback(ip))) return ""
  // The common case as it is: transports give IPv4 in its one form.
  if (!ip.includes(":")) return ip
  const address = parseIp(ip)
  if (address === undefined) return ip
  if (NetAddress.isIpv4Address(address)) return NetAddress.formatIp(address)
  const [a, b, c, d] = NetAddress.ipv6ToSegments(address)
  return `${a}:${b}:${c}:${d >> 8}/56`
}
