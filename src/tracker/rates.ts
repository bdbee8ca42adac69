/** How often each caller may call: by its key, and by the IP and the networks that it comes from. */
import * as Duration from "effect/Duration"
import { positive } from "../positive.ts"
import { groupNames, widths } from "../sourceGroups.ts"

/**
 * How often one key and one IP may call. A /24 (IPv6: a /48) may call 8 times as often, and a /16 (/32) 64 times.
 *
 * @category options
 * @since 0.1.0
 */
export interface Rate {
  /** How many calls may come at once. */
  readonly burst: number
  /** After how long one more may come. */
  readonly every: Duration.Input
}

interface Bucket {
  tokens: number
  since: number
}

/**
 * How many keys, IPs and networks are remembered. Each call names four at most. When there are more, the one that has
 * not called for the longest time is forgotten.
 */
const remembered = 16_384

/** A bucket of tokens for each key, IP and network. */
export class Rates {
  private readonly buckets = new Map<string, Bucket>()
  private readonly burst: number
  private readonly every: number
  private readonly exemptLoopback: boolean

  constructor({ burst, every }: Rate, exemptLoopback: boolean) {
    if (!(burst >= 1)) throw new RangeError(`burst: expected 1 or more, not ${burst}`)
    this.burst = burst
    this.every = positive({ every: Duration.toMillis(every) }).every
    this.exemptLoopback = exemptLoopback
  }

  get size(): number {
    return this.buckets.size
  }

  /**
   * Takes a token from each bucket of the caller if all of them have one. The result is 0 then, and otherwise the time
   * until they have. Times are monotonic, in milliseconds.
   */
  take(key: string, source: string | undefined, now: number): number {
    const groups = groupNames(source, this.exemptLoopback).map((name, i) => this.bucket(name, widths[i] ?? 1, now))
    const all = [...groups, this.bucket(`key ${key}`, 1, now)]
    const wait = Math.max(...all.map(({ bucket, width }) => ((1 - bucket.tokens) * this.every) / width))
    if (wait > 0) return Math.ceil(wait)
    for (const { bucket } of all) bucket.tokens--
    return 0
  }

  private bucket(name: string, width: number, now: number): { readonly bucket: Bucket; readonly width: number } {
    const most = this.burst * width
    const bucket = this.buckets.get(name) ?? { tokens: most, since: now }
    bucket.tokens = Math.min(most, bucket.tokens + ((now - bucket.since) * width) / this.every)
    bucket.since = now
    this.buckets.delete(name)
    this.buckets.set(name, bucket)
    const [oldest] = this.buckets.keys()
    if (this.buckets.size > remembered && oldest !== undefined) this.buckets.delete(oldest)
    return { bucket, width }
  }
}
