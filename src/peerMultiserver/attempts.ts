/** How often one IP is dialed because somebody's record names it, and which addresses have failed lately. */
import * as NetAddress from "effect/net/NetAddress"
import { parseIp } from "../Networks.ts"

/** One target: an IPv4 address, or the /64 of an IPv6 address, which is one network of one owner. */
const targetOf = (ip: string): string => {
  const address = parseIp(ip)
  if (address === undefined || NetAddress.isIpv4Address(address)) {
    return address === undefined ? ip : NetAddress.formatIp(address)
  }
  return NetAddress.ipv6ToSegments(address)
    .slice(0, 4)
    .map((segment) => segment.toString(16))
    .join(":")
}

/** The most targets and addresses that are remembered. */
const most = 10_000

interface Count {
  since: number
  attempts: number
}

/** Counts attempts per target. Anybody can name a victim in a record: a program that follows it must not flood it. */
export class Targets {
  private readonly counts = new Map<string, Count>()
  private readonly attempts: number
  private readonly millis: number

  constructor(attempts: number, millis: number) {
    this.attempts = attempts
    this.millis = millis
  }

  /** Whether one more attempt may be made. `now` is monotonic, in milliseconds. */
  take(ip: string, now: number): boolean {
    const target = targetOf(ip)
    const count = this.counts.get(target)
    if (count !== undefined && now - count.since < this.millis) {
      if (count.attempts >= this.attempts) return false
      count.attempts++
      return true
    }
    this.counts.delete(target)
    if (this.counts.size >= most) this.drop(now)
    if (this.counts.size >= most) return false
    this.counts.set(target, { since: now, attempts: 1 })
    return true
  }

  /** Takes one attempt back, if `host` is an IP that is counted. */
  giveBack(host: string): void {
    const count = this.counts.get(targetOf(host))
    if (count !== undefined && count.attempts > 0) count.attempts--
  }

  /** Drops the counts whose time is over: the first of the map, which keeps its order. */
  private drop(now: number): void {
    for (const [target, { since }] of this.counts) {
      if (now - since < this.millis) return
      this.counts.delete(target)
    }
  }
}

/** The addresses that have failed lately. They are tried after the others. */
export class Failures {
  private readonly until = new Map<string, number>()
  private readonly millis: number

  constructor(millis: number) {
    this.millis = millis
  }

  add(address: string, now: number): void {
    this.until.delete(address)
    this.until.set(address, now + this.millis)
    const [oldest] = this.until.keys()
    if (this.until.size > most && oldest !== undefined) this.until.delete(oldest)
  }

  has(address: string, now: number): boolean {
    const until = this.until.get(address)
    if (until === undefined) return false
    if (until > now) return true
    this.until.delete(address)
    return false
  }

  forget(address: string): void {
    this.until.delete(address)
  }
}
