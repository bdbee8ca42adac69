/** Sets of IP networks, as rules name them: CIDRs such as `203.0.113.0/24`, and single IPs. */
import type * as Config from "effect/Config"
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { readBy, variables } from "./variables.ts"

/** The text is no network: it has host bits, say, or a prefix that is too long. */
export class NetworkError extends Schema.TaggedError<NetworkError>("effect-multiserver/NetworkError")("NetworkError", {
  text: Schema.String
}) {
  override get message(): string {
    return (
      `${JSON.stringify(this.text.slice(0, 60))} is no IP network: write 203.0.113.0/24, 2001:db8::/32 or one ` +
      "IP, with no bits after the prefix"
    )
  }
}

/** Some networks; made by `parse`. */
export interface Networks {
  readonly networks: ReadonlyArray<IpNetwork.IpNetwork>
}

/** No network. */
export const empty: Networks = { networks: [] }

/** An IP without its zone, and IPv4 as such when it is mapped into IPv6. */
export const parseIp = (text: string): NetAddress.IpAddress | undefined => {
  const zone = text.indexOf("%")
  const ip = NetAddress.ipFromString(zone < 0 ? text : text.slice(0, zone))
  if (Result.isFailure(ip)) return undefined
  const address = ip.success
  return NetAddress.isIpv6Address(address)
    ? Option.getOrElse(NetAddress.fromIpv4Mapped(address), () => address)
    : address
}

/** A network within `::ffff:0:0/96` is one of IPv4: addresses are compared as such, so it would contain none. */
const plain = (network: IpNetwork.IpNetwork): IpNetwork.IpNetwork => {
  const { address, prefixLength } = network
  if (!NetAddress.isIpv6Address(address) || prefixLength < 96) return network
  const mapped = Option.getOrUndefined(NetAddress.fromIpv4Mapped(address))
  return mapped === undefined ? network : IpNetwork.makeUnsafe(mapped, prefixLength - 96)
}

const parseOne = (text: string): Result.Result<IpNetwork.IpNetwork, NetworkError> => {
  const trimmed = text.trim()
  const ip = trimmed.includes("/") ? undefined : parseIp(trimmed)
  const network = ip === undefined ? IpNetwork.fromString(trimmed) : IpNetwork.fromAddress(ip, NetAddress.width(ip))
  return Result.mapBoth(network, { onSuccess: plain, onFailure: () => new NetworkError({ text: trimmed }) })
}

/** Networks from their texts; the first that is none fails. */
export const parse = (texts: ReadonlyArray<string>): Result.Result<Networks, NetworkError> =>
  Result.map(Result.all(texts.map(parseOne)), (networks) => ({ networks }))

/** Their texts, which `parse` reads. */
export const format = ({ networks }: Networks): ReadonlyArray<string> => networks.map(IpNetwork.format)

/** Whether one of them contains the IP. What is no IP is in none. */
export const contains = ({ networks }: Networks, ip: string): boolean => {
  if (networks.length === 0) return false
  const address = parseIp(ip)
  return address !== undefined && networks.some((network) => IpNetwork.contains(network, address))
}

/** The two halves of a network that is more than one address. */
const halves = (network: IpNetwork.IpNetwork): ReadonlyArray<IpNetwork.IpNetwork> => {
  const longer = network.prefixLength + 1
  return [IpNetwork.firstAddress(network), IpNetwork.lastAddress(network)].map((address) =>
    IpNetwork.fromAddressUnsafe(address, longer)
  )
}

const coversOne = (networks: Networks["networks"], network: IpNetwork.IpNetwork): boolean => {
  if (networks.some((each) => IpNetwork.containsNetwork(each, network))) return true
  // None of them has all of it. Where some have a part, each half is looked at by itself.
  const parts = networks.filter((each) => IpNetwork.overlaps(each, network))
  return parts.length > 0 && halves(network).every((half) => coversOne(parts, half))
}

/** Whether the first contain every address of the others. */
export const covers = (self: Networks, others: Networks): boolean =>
  others.networks.every((network) => coversOne(self.networks, network))

/** All of these together. */
export const union = (...all: ReadonlyArray<Networks>): Networks => ({
  networks: all.flatMap(({ networks }) => networks)
})

/**
 * Networks from one text, where commas are between them and one may be behind the last. It has one at least: a list
 * that comes out empty, as of `","`, would hold nobody off.
 */
export const parseList = (text: string): Result.Result<Networks, NetworkError> => {
  const parts = text.split(",")
  return parse(parts.length > 1 && parts.at(-1)?.trim() === "" ? parts.slice(0, -1) : parts)
}

/** The proxies that are trusted to say who connects: `MULTISERVER_TRUSTED_PROXIES`. */
export const configTrustedProxies: Config.Config<Networks> = readBy(variables.trustedProxies, parseList, empty)
