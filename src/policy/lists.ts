/** Rules from lists of networks. */
import * as NetAddress from "effect/net/NetAddress"
import * as Result from "effect/Result"
import * as Networks from "../Networks.ts"
import type { Reach } from "../Transport.ts"
import { allowAll, type PolicyRules } from "./rules.ts"

/**
 * Networks as CIDRs (`203.0.113.0/24`) or single IPs.
 *
 * @category options
 * @since 0.1.0
 */
export interface Lists {
  /** These are always denied. */
  readonly deny?: ReadonlyArray<string>
  /** If given, an IP outside of it is denied. `dial` and `accept` say what happens without an IP. */
  readonly allow?: ReadonlyArray<string>
}

/**
 * Lists of networks, and an order of protocols.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * Which IPs may be dialed, as written or as their names resolve. `0.0.0.0` and `::` lead to this device, so they are
   * denied where loopback is. An address that leads to no IP, such as one of a unix socket or an onion service, is
   * denied when there is an allow list, and when the deny list has all that it may lead to: loopback, if its transport
   * reaches this device only.
   */
  readonly dial?: Lists & {
    /**
     * Allows only what is public: no private, loopback, link-local or otherwise special IP, and no transport that
     * reaches this device or its network only, such as a unix socket. An IP in the `allow` list is allowed all the
     * same. For programs that dial addresses which others gave them. By default `false`.
     */
    readonly denyPrivate?: boolean
  }
  /** The order in which addresses of a peer are dialed: `prefer("noise", "shs")`. By default they keep their order. */
  readonly order?: PolicyRules["order"]
  /**
   * Which IPs may connect. Newcomers over memory, and over unix sockets that are private to this user, have no IP, and
   * may always connect, because they are this user's own processes. Other newcomers without an IP are denied when there
   * is an allow list, and when the deny list has all IPs within the transport's reach.
   */
  readonly accept?: Lists
}

const parsed = (...texts: ReadonlyArray<string>): Networks.Networks => Result.getOrThrow(Networks.parse(texts))

/**
 * The IPs that are not public by IANA's special-purpose registries, or that hide an IPv4 address. In IPv6, only
 * 2000::/3 is public.
 */
const special = parsed(
  "0.0.0.0/8",
  "10.0.0.0/8",
  "100.64.0.0/10",
  "127.0.0.0/8",
  "169.254.0.0/16",
  "172.16.0.0/12",
  "192.0.0.0/24",
  "192.0.2.0/24",
  "192.88.99.0/24",
  "192.168.0.0/16",
  "198.18.0.0/15",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "224.0.0.0/3",
  "::/3",
  "2001::/23",
  "2001:db8::/32",
  "2002::/16",
  "3fff::/20",
  "4000::/2",
  "8000::/1"
)

/**
 * Whether the text is an IP of the public internet.
 *
 * @category predicates
 * @since 0.1.0
 */
export const isPublic = (ip: string): boolean => Networks.parseIp(ip) !== undefined && !Networks.contains(special, ip)

interface Compiled {
  readonly deny: Networks.Networks
  readonly allow: Networks.Networks | undefined
}

const compile = ({ allow, deny = [] }: Lists = {}): Result.Result<Compiled, Networks.NetworkError> =>
  Result.all({
    deny: Networks.parse(deny),
    allow: allow === undefined ? Result.succeed(undefined) : Networks.parse(allow)
  })

const local = parsed("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "fc00::/7", "fe80::/10")
const everything = parsed("0.0.0.0/0", "::/0")

/**
 * Which reaches may be dialed where a dial leads to no IP. With an allow list, none. A deny list denies `device` if it
 * contains loopback, and the other reaches if it leaves none of their IPs.
 */
const reachesOf = ({ allow, deny }: Compiled, onlyPublic: boolean): Readonly<Record<Reach, boolean>> => {
  const near = allow === undefined && !onlyPublic
  return {
    device: near && !Networks.contains(deny, "127.0.0.1") && !Networks.contains(deny, "::1"),
    local: near && !Networks.covers(deny, local),
    public: allow === undefined && !Networks.covers(Networks.union(deny, special), everything)
  }
}

const permits = ({ allow, deny }: Compiled, ip: string, otherwise: (ip: string) => boolean): boolean =>
  !Networks.contains(deny, ip) && (allow === undefined ? otherwise(ip) : Networks.contains(allow, ip))

const anything = () => true

/** The IPs to which a dial of this IP leads. The unspecified IP (`0.0.0.0`, `::`) leads to this device. */
const leadsTo = (ip: string): ReadonlyArray<string> => {
  const address = Networks.parseIp(ip)
  return address !== undefined && NetAddress.isUnspecified(address) ? [ip, "127.0.0.1", "::1"] : [ip]
}

export const rulesOf = ({
  accept,
  dial,
  order = allowAll.order
}: Options): Result.Result<PolicyRules, Networks.NetworkError> =>
  Result.map(Result.all({ accept: compile(accept), dial: compile(dial) }), (lists): PolicyRules => {
    const onlyPublic = dial?.denyPrivate === true
    const reaches = reachesOf(lists.dial, onlyPublic)
    const accepts = reachesOf(lists.accept, false)
    return {
      mayDial: (_, { reach, toIps }) => toIps || reaches[reach],
      mayDialIp: (ip) => leadsTo(ip).every((each) => permits(lists.dial, each, onlyPublic ? isPublic : anything)),
      mayDialUnknownIp: () => !onlyPublic && lists.dial.allow === undefined && lists.dial.deny.networks.length === 0,
      mayConnect: (source, { reach, trusted }) =>
        source !== undefined && Networks.parseIp(source) !== undefined
          ? permits(lists.accept, source, anything)
          : (source === undefined && trusted) || accepts[reach],
      order
    }
  })
