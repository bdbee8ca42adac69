/**
 * The newest record of each key, in bounded memory: what readers of records keep. Whatever comes later, the highest
 * sequence of a key stays.
 */
import type { AddressRecord } from "./AddressRecord.ts"
import { formatPublicKey, type PublicKey } from "./Identity.ts"
import { sameBytes } from "./sameBytes.ts"

/**
 * What became of a record.
 *
 * - `newest`: it is kept now.
 * - `known`: it is the one that is kept.
 * - `older`: a newer one is kept.
 * - `conflict`: its peer has signed another record of the same sequence. The first one stays.
 *
 * @category models
 * @since 0.1.0
 */
export type Verdict = "newest" | "known" | "older" | "conflict"

/**
 * How much is kept.
 *
 * @category options
 * @since 0.1.0
 */
export interface Options {
  /**
   * The most keys. By default 1,000. When there are more, the record that expires first goes. Of those that are valid
   * for another hour or more, the one that came first goes first: a far expiry buys no longer stay.
   */
  readonly keys?: number
  /** A record counts as expired after this time, in seconds from when it came. By default one week. */
  readonly longest?: number
}

interface Kept {
  readonly name: string
  readonly record: AddressRecord
  /** When it expires for this memory, in seconds since 1970. */
  readonly until: number
  /** When there are too many records, the one with the lowest of these goes first. In seconds since 1970, too. */
  readonly goes: number
  /** Where `goes` is the same, the record that came first goes first. */
  readonly came: number
}

/** In seconds. Published records are valid for an hour, unless their peer has said otherwise. */
const longestStay = 3600

const before = (a: Kept, b: Kept): number => a.goes - b.goes || a.came - b.came

/**
 * The newest record of each key.
 *
 * @category models
 * @since 0.1.0
 */
export class AddressRecords {
  private readonly kept = new Map<string, Kept>()
  /**
   * The same as a heap, the first to go at its top: strangers can fill this memory, and what goes is found without
   * looking through all of it. Records that were replaced are in it, too, until they come up or it is made anew.
   */
  private heap: Array<Kept> = []
  private came = 0
  private readonly keys: number
  private readonly longest: number

  constructor({ keys = 1000, longest = 7 * 24 * 3600 }: Options = {}) {
    if (!Number.isSafeInteger(keys) || keys < 1) throw new RangeError(`keys: expected 1 or more, not ${keys}`)
    if (!(longest >= 0)) throw new RangeError(`longest: expected 0 seconds or more, not ${longest}`)
    this.keys = keys
    this.longest = longest
  }

  get size(): number {
    return this.kept.size
  }

  get(key: PublicKey): AddressRecord | undefined {
    return this.kept.get(formatPublicKey(key))?.record
  }

  /** Whether the record of this key has expired, after `longest` at the latest. */
  hasExpired(key: PublicKey, now: number): boolean {
    return (this.kept.get(formatPublicKey(key))?.until ?? now) <= now
  }

  /** All records, the first to go first. */
  all(): ReadonlyArray<AddressRecord> {
    return this.sorted().map(({ record }) => record)
  }

  /** Keeps the record if it is the newest of its key. `now` is in seconds since 1970. */
  add(record: AddressRecord, now: number): Verdict {
    const name = formatPublicKey(record.publicKey)
    const last = this.kept.get(name)?.record
    if (last !== undefined && record.sequence <= last.sequence) {
      if (record.sequence < last.sequence) return "older"
      return sameBytes(record.bytes, last.bytes) ? "known" : "conflict"
    }
    const until = Math.min(record.expires, now + this.longest)
    const kept = { name, record, until, goes: Math.min(until, now + longestStay), came: this.came++ }
    this.kept.set(name, kept)
    this.push(kept)
    if (this.kept.size > this.keys) this.evict()
    if (this.heap.length > 2 * this.kept.size + 16) this.heap = this.sorted()
    return "newest"
  }

  /** Drops the records that have expired. An expired record that is the only one of its key can still lead there. */
  dropExpired(now: number): void {
    for (const [name, { until }] of this.kept) if (until <= now) this.kept.delete(name)
    this.heap = this.sorted()
  }

  /** A sorted array is a heap, too. */
  private sorted(): Array<Kept> {
    return Array.from(this.kept.values()).sort(before)
  }

  private evict(): void {
    for (let first = this.pop(); first !== undefined; first = this.pop()) {
      if (this.kept.get(first.name) === first) {
        this.kept.delete(first.name)
        return
      }
    }
  }

  private push(kept: Kept): void {
    const { heap } = this
    let at = heap.length
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = heap[above]
      if (other === undefined || before(kept, other) >= 0) break
      heap[at] = other
      at = above
    }
    heap[at] = kept
  }

  /** Takes the top, and moves the last one down from there. */
  private pop(): Kept | undefined {
    const { heap } = this
    const [top] = heap
    const last = heap.pop()
    if (last === undefined || heap.length === 0) return top
    let at = 0
    for (;;) {
      const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]]
      const isRight = left !== undefined && right !== undefined && before(right, left) < 0
      const next = isRight ? right : left
      if (next === undefined || before(next, last) >= 0) break
      heap[at] = next
      at = 2 * at + (isRight ? 2 : 1)
    }
    heap[at] = last
    return top
  }
}
