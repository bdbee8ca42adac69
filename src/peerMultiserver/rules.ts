/** What may be dialed because somebody's record names it. */
import * as Effect from "effect/Effect"
import type { Address } from "../Address.ts"
import type { NetworkError } from "../Networks.ts"
import * as Policy from "../Policy.ts"
import type { Targets } from "./attempts.ts"

/** Which networks and ports may be dialed. */
export interface Options {
  /**
   * Which IPs may be dialed where a source of the wide world names them. By default only public ones, as by
   * `denyPrivate`.
   */
  readonly dial?: Policy.Options["dial"]
  /**
   * Which IPs may be dialed where a source of the local network names them. By default all but loopback.
   */
  readonly dialNear?: Policy.Options["dial"]
  /**
   * Which ports may be dialed. By default 80, 443 and all from 1024 on: behind the others are services such as mail,
   * which a record could have a crowd of dialers call.
   */
  readonly ports?: (port: number) => boolean
}

const usualPort = (port: number): boolean => port === 80 || port === 443 || port >= 1024

const loopback = ["0.0.0.0/8", "127.0.0.0/8", "::/127"]

/**
 * The most IPs of one address that are dialed, and counted. A name can have thousands: each is a target, whether a
 * packet goes there or not, and a few such names would take all the room for targets.
 */
const mostIps = 16

/** The rules for addresses that others name. */
export interface Rules {
  /** The rules for one dial, by whether a near source named its addresses. */
  readonly of: (near: boolean, now: () => number) => Policy.DialRules
  /** The peer has proved its key at this address: the attempt that led there does not count. */
  readonly hasConnected: (address: Address) => void
}

/** Addresses whose transport has no port lead to no service that listens on one. */
const portOf = ({ transport }: Address): number | undefined => ("port" in transport ? transport.port : undefined)

export const rulesFor = Effect.fnUntraced(function* (
  { dial = { denyPrivate: true }, dialNear = { deny: loopback }, ports = usualPort }: Options,
  targets: Targets
): Effect.fn.Return<Rules, NetworkError> {
  const [far, near] = yield* Effect.all([Policy.make({ dial }), Policy.make({ dial: dialNear })])
  const of: Rules["of"] = (isNear, now) => {
    const { mayDial, mayDialIp, mayDialUnknownIp } = (isNear ? near : far).rules
    const asked = new Map<Address, number>()
    const isOneOfFew = (address: Address): boolean => {
      const count = (asked.get(address) ?? 0) + 1
      asked.set(address, count)
      return count <= mostIps
    }
    return {
      mayDial: (address, to) => {
        const port = portOf(address)
        if ((port !== undefined && !ports(port)) || !mayDial(address, to)) return false
        // What leads to no IP, such as an onion service, is counted by its name.
        const { transport } = address
        return to.toIps || !("host" in transport) || targets.take(transport.host, now())
      },
      mayDialIp: (ip, address) => mayDialIp(ip, address) && isOneOfFew(address) && targets.take(ip, now()),
      ...(mayDialUnknownIp && { mayDialUnknownIp })
    }
  }
  // A name may lead to several IPs, of which others are the peer's and one is a victim's: its attempts count.
  const hasConnected = ({ transport }: Address) => {
    if ("host" in transport) targets.giveBack(transport.host)
  }
  return { of, hasConnected }
})
