/** Sets of IP networks, as policies name them: CIDRs such as `203.0.113.0/24`, and single IPs. */
import * as IpNetwork from "effect/net/IpNetwork"
import * as NetAddress from "effect/net/NetAddress"
import * as Option from "effect/Option"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import { cause } from "./schema/cause.ts"

/**
 * The text is not an IP network: it has bits after the prefix, for example, or the prefix is too long.
 *
 * @category errors
 * @since 0.1.0
 */
export class NetworkError extends Schema.TaggedError<NetworkError>("effect-multiserver/NetworkError")("NetworkError", {
  text: Schema.String,
  /** What is wrong with it. */
  cause
}) {
  override get message(): string {
    return (
      `${JSON.stringify(this.text.slice(0, 60))} is no IP network: write 203.0.113.0/24, 2001:db8::/32 or one ` +
      "IP, with no bits after the prefix"
    )
  }
}

/**
 * A set of networks. Made by `parse`.
 *
 * @category models
 * @since 0.1.0
 */
export interface Networks {
  readonly networks: ReadonlyArray<IpNetwork.IpNetwork>
}

/**
 * The set of no networks.
 *
 * @category constants
 * @since 0.1.0
 */
export const empty: Networks = { networks: [] }

/**
 * Reads an IP, without its zone. IPv4 that is mapped into IPv6 becomes IPv4. `undefined`: the text is not an IP.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parseIp = (text: string): NetAddress.IpAddress | undefined => {
  const zone = text.indexOf("%")
  const ip = NetAddress.ipFromString(zone < 0 ? text : text.slice(0, zone))
  if (Result.isFailure(ip)) return undefined
  const address = ip.success
  return NetAddress.isIpv6Address(address)
    ? Option.getOrElse(NetAddress.fromIpv4Mapped(address), () => address)
    : address
}

/**
 * Makes a network within `::ffff:0:0/96` one of IPv4. `parseIp` makes such addresses IPv4, so it would contain none of
 * them.
 */
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
  return Result.mapBoth(network, { onSuccess: plain, onFailure: (cause) => new NetworkError({ text: trimmed, cause }) })
}

/**
 * Reads networks. Fails with the first text that is not a network.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parse = (texts: ReadonlyArray<string>): Result.Result<Networks, NetworkError> =>
  Result.map(Result.all(texts.map(parseOne)), (networks) => ({ networks }))

/**
 * The networks as texts, which `parse` reads.
 *
 * @category conversions
 * @since 0.1.0
 */
export const format = ({ networks }: Networks): ReadonlyArray<string> => networks.map(IpNetwork.format)

/**
 * Whether one of the networks contains the IP. A text that is not an IP is in no network.
 *
 * @category accessors
 * @since 0.1.0
 */
export const contains = ({ networks }: Networks, ip: string): boolean => {
  if (networks.length === 0) return false
  const address = parseIp(ip)
  return address !== undefined && networks.some((network) => IpNetwork.contains(network, address))
}

/** The two halves of a network. It has more than one address. */
const halves = (network: IpNetwork.IpNetwork): ReadonlyArray<IpNetwork.IpNetwork> => {
  const longer = network.prefixLength + 1
  return [IpNetwork.firstAddress(network), IpNetwork.lastAddress(network)].map((address) =>
    IpNetwork.fromAddressUnsafe(address, longer)
  )
}

const coversOne = (networks: Networks["networks"], network: IpNetwork.IpNetwork): boolean => {
  if (networks.some((each) => IpNetwork.containsNetwork(each, network))) return true
  // No single network contains all of it. If some contain a part, each half is checked by itself.
  const parts = networks.filter((each) => IpNetwork.overlaps(each, network))
  return parts.length > 0 && halves(network).every((half) => coversOne(parts, half))
}

/**
 * Whether `self` contains every address of `others`.
 *
 * @category accessors
 * @since 0.1.0
 */
export const covers = (self: Networks, others: Networks): boolean =>
  others.networks.every((network) => coversOne(self.networks, network))

/**
 * The networks of all these sets.
 *
 * @category combinators
 * @since 0.1.0
 */
export const union = (...all: ReadonlyArray<Networks>): Networks => ({
  networks: all.flatMap(({ networks }) => networks)
})

/**
 * Reads networks separated by commas; one comma may follow the last. A list has at least one network, because an empty
 * deny list, as of `","`, would deny nothing.
 *
 * @category conversions
 * @since 0.1.0
 */
export const parseList = (text: string): Result.Result<Networks, NetworkError> => {
  const parts = text.split(",")
  return parse(parts.length > 1 && parts.at(-1)?.trim() === "" ? parts.slice(0, -1) : parts)
}
