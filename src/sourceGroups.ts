/** The groups in which sources are counted: an IP, and the networks in which one owner usually has many. */
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "./Networks.ts"

/** An IPv4 address as transports give it, which needs no parsing. */
const dotted = /^((\d{1,3}\.\d{1,3})\.\d{1,3})\.\d{1,3}$/

/**
 * The groups of a source, the narrowest first: an IPv4 address, its /24 and its /16; or the /56 of an IPv6 address,
 * which a provider gives to one customer, its /48 and its /32. A client with many addresses usually has them in one of
 * these networks. A source that is no IP, such as a key, is a group by itself. A source that is not counted is in no
 * group.
 */
export const groupNames = (source: string | undefined, exemptLoopback: boolean): ReadonlyArray<string> => {
  if (source === undefined) return []
  const [, network, region] = dotted.exec(source) ?? []
  if (network !== undefined && region !== undefined) {
    return exemptLoopback && source.startsWith("127.") ? [] : [source, network, region]
  }
  const ip = parseIp(source)
  if (ip === undefined) return [source]
  if (NetAddress.isIpv4Address(ip)) return groupNames(NetAddress.formatIp(ip), exemptLoopback)
  if (exemptLoopback && NetAddress.isLoopback(ip)) return []
  const [a, b, c, d] = NetAddress.ipv6ToSegments(ip)
  return [`${a}:${b}:${c}:${d >> 8}`, `${a}:${b}:${c}`, `${a}:${b}`]
}

/** How many times the limits of a single source each of its groups has, the narrowest first. */
export const widths = [1, 8, 64] as const
