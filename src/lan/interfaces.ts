/** This machine's IPv4 interfaces: who is in the same network, and where everybody in it is reached. */
import * as os from "node:os"
import * as Result from "effect/Result"
import { reachOf } from "../sockets/ip.ts"

/** An interface, or one of the IPs of an interface that has several. */
export interface Interface {
  /** This machine's IP there. */
  readonly host: string
  /** The IP by which everybody in its network is reached. None in networks of one or two machines. */
  readonly broadcast: string | undefined
  readonly contains: (ip: string) => boolean
}

const numberOf = (ip: string): number => ip.split(".").reduce((number, part) => number * 256 + Number(part), 0) >>> 0

const textOf = (number: number): string => [24, 16, 8, 0].map((shift) => (number >>> shift) & 255).join(".")

/** An interface from its IP and its mask: 192.168.1.7 and 255.255.255.0. */
export const make = (host: string, netmask: string): Interface => {
  const mask = numberOf(netmask)
  const network = (numberOf(host) & mask) >>> 0
  return {
    host,
    broadcast: ~mask >>> 0 > 1 ? textOf(network | ~mask) : undefined,
    contains: (ip) => (numberOf(ip) & mask) >>> 0 === network
  }
}

/** The interfaces of loopback and private networks. None where the system does not let this process see them. */
export const current = (): ReadonlyArray<Interface> =>
  Result.getOrElse(
    Result.try(() => Object.values(os.networkInterfaces()).flatMap((addresses) => addresses ?? [])),
    () => []
  )
    .filter(({ address, family }) => family === "IPv4" && reachOf(address) !== "public")
    .map(({ address, netmask }) => make(address, netmask))

/** How long the interfaces are taken for what they were, in milliseconds: a flood must not have them read each time. */
const validity = 5000

/** Tells whether an IPv4 belongs to a loopback or private network in which this machine is too. */
export class Neighbours {
  private interfaces: ReadonlyArray<Interface> = []
  private readUntil = Number.NEGATIVE_INFINITY
  private readonly read: () => ReadonlyArray<Interface>

  constructor(read: () => ReadonlyArray<Interface> = current) {
    this.read = read
  }

  has(ip: string, now: number): boolean {
    if (now >= this.readUntil) {
      this.interfaces = this.read()
      this.readUntil = now + validity
    }
    return reachOf(ip) !== "public" && this.interfaces.some((each) => each.contains(ip))
  }
}
