/** Where newcomers come from: how many connections each source has, and how fast it may open more. */
import * as NetAddress from "effect/net/NetAddress"
import type { Exceeded, LimitValues } from "../Limits.ts"
import { parseIp } from "../Networks.ts"
import type { Listed } from "./listed.ts"

const isLoopback = (ip: string): boolean => ip.startsWith("127.") || ip === "::1"

/**
 * The name of the source that an IP belongs to: an IPv4 address, or the 56 bits of an IPv6 address that a provider
 * gives to one customer. Empty for what is not counted.
 */
export const sourceKey = (ip: string | undefined, exemptLoopback: boolean): string => {
  if (ip === undefined || (exemptLoopback && isLoopback(ip))) return ""
  // The common case needs no parsing: transports give an IPv4 address in its one form, and a zone is no part of one.
  if (!ip.includes(":") && !ip.includes("%")) return ip
  const address = parseIp(ip)
  if (address === undefined) return ip
  if (NetAddress.isIpv4Address(address)) return NetAddress.formatIp(address)
  const [a, b, c, d] = NetAddress.ipv6ToSegments(address)
  return `${a}:${b}:${c}:${d >> 8}/56`
}

/** What the admission asks of a newcomer whose handshakes are pending. */
export interface Newcomer {
  /** Whether it has been answered. Nobody is before its first valid message. */
  readonly answered: () => boolean
  /** Ends it, now. */
  readonly end: (why: "Displaced" | "TimedOut") => void
}

/** The place of one newcomer, from when it was admitted until it is gone. */
export class Place implements Listed {
  at = 0
  /** When it came, by the admission's `now`. */
  readonly since: number
  readonly newcomer: Newcomer
  source: Source
  /** While its handshakes are pending: the list of its source that it is in. */
  list: Array<Place> | undefined
  gone = false

  constructor(source: Source, newcomer: Newcomer, since: number) {
    this.source = source
    this.newcomer = newcomer
    this.since = since
  }
}

/** One source. */
export class Source implements Listed {
  at = 0
  open = 0
  readonly key: string
  /** The places whose handshakes are pending: those not known to have been answered, and those that have been. */
  readonly silent: Array<Place> = []
  readonly answered: Array<Place> = []
  /** How many newcomers it may still send, as of `since`. */
  tokens: number
  since: number

  constructor(key: string, tokens: number, since: number) {
    this.key = key
    this.tokens = tokens
    this.since = since
  }

  get pending(): number {
    return this.silent.length + this.answered.length
  }
}

/**
 * How many sources without a connection are remembered. They take about 4 MiB; many more than that would have to be
 * new.
 */
const maxResting = 16_384

/** All sources of one Multiserver. */
export class Sources {
  private readonly limits: LimitValues
  private readonly byKey = new Map<string, Source>()
  /** The sources without a connection. The one that has been without for longest comes first. */
  private readonly resting = new Set<Source>()

  constructor(limits: LimitValues) {
    this.limits = limits
  }

  /** How many are in memory. */
  get remembered(): number {
    return this.byKey.size
  }

  get(ip: string | undefined, now: number): Source {
    this.forget(now)
    const key = sourceKey(ip, this.limits.exemptLoopback)
    const known = this.byKey.get(key)
    if (known !== undefined) {
      if (this.resting.delete(known)) this.resting.add(known)
      return known
    }
    const source = new Source(key, this.limits.sourceRate, now)
    this.byKey.set(key, source)
    this.resting.add(source)
    return source
  }

  /** Takes a token for a newcomer, unless its source has too many connections or sends too many newcomers. */
  refusal(source: Source, now: number): Exceeded | undefined {
    if (source.key === "") return undefined
    const { sourceConnections, sourceRate } = this.limits
    if (source.open >= sourceConnections) return "TooManyFromSource"
    source.tokens = Math.min(sourceRate, source.tokens + ((now - source.since) * sourceRate) / 1000)
    source.since = now
    if (source.tokens < 1) return "TooFast"
    source.tokens--
    return undefined
  }

  enter(source: Source): void {
    if (source.open++ === 0) this.resting.delete(source)
  }

  exit(source: Source): void {
    if (--source.open === 0) this.resting.add(source)
  }

  /**
   * Forgets sources that have been away for so long that they are as good as new. At most two for each newcomer: that
   * is more than newcomers can add.
   */
  private forget(now: number): void {
    let most = 2
    for (const source of this.resting) {
      if (most-- === 0 || (now - source.since < 1000 && this.resting.size <= maxResting)) return
      this.resting.delete(source)
      this.byKey.delete(source.key)
    }
  }
}
