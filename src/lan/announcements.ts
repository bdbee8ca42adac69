/** What was announced lately, in bounded memory, and how much of what arrives is looked at at all. */
import { formatPublicKey, type PublicKey } from "../Identity.ts"
import { sameBytes } from "../sameBytes.ts"
import { type Announcement, maxBytes } from "./datagram.ts"

/** The most senders that are remembered: as many as a network of 256 IPs has. */
export const maxSenders = 256

/** The most peers of one sender: programs on one machine. When there is one more, the one heard longest ago goes. */
export const maxPeers = 8

/** A stretch of time in which datagrams are counted, in milliseconds. */
const second = 1000

/** The most new datagrams of one sender in a second. A program sends two announcements in two seconds. */
export const maxNewOfSender = 16

/** The most new datagrams of all senders in a second. To check one takes about 0.1 ms. */
export const maxNew = 128

interface Heard {
  readonly announcement: Announcement
  readonly bytes: Uint8Array
  /** In monotonic milliseconds. */
  at: number
}

/** Reads a datagram of a sender: `readSigned` or `readUnsigned`. */
export type Read = (bytes: Uint8Array, sender: string) => Announcement | undefined

/** The announcements of the last `remember` milliseconds, by their sender's IP and their peer. */
export class Announcements {
  private readonly senders = new Map<string, Map<string, Heard>>()
  private readonly remember: number
  private countedSince = Number.NEGATIVE_INFINITY
  private counted = 0
  private readonly countedOf = new Map<string, number>()

  constructor(remember: number) {
    this.remember = remember
  }

  get size(): number {
    return [...this.senders.values()].reduce((size, peers) => size + peers.size, 0)
  }

  /**
   * Takes a datagram. What it announces, unless it is no announcement, or one too many. A datagram that is remembered
   * counts as heard again, without being checked or counted: a flood of others can't make it be forgotten.
   */
  hear(bytes: Uint8Array, sender: string, read: Read, now: number): Announcement | undefined {
    if (bytes.length > maxBytes) return undefined
    const peers = this.senders.get(sender)
    for (const heard of peers?.values() ?? []) {
      if (!this.isFresh(heard, now) || !sameBytes(heard.bytes, bytes)) continue
      heard.at = now
      return heard.announcement
    }
    if (!this.count(sender, now)) return undefined
    const announcement = read(bytes, sender)
    if (announcement !== undefined) this.keep(announcement, bytes, sender, now)
    return announcement
  }

  /** What is remembered of a peer: what is signed first, then what was heard last. */
  of(key: PublicKey, now: number): ReadonlyArray<Announcement> {
    const peer = formatPublicKey(key)
    return [...this.senders.values()]
      .flatMap((peers) => peers.get(peer) ?? [])
      .filter((heard) => this.isFresh(heard, now))
      .toSorted((a, b) => Number(b.announcement.isSigned) - Number(a.announcement.isSigned) || b.at - a.at)
      .map(({ announcement }) => announcement)
  }

  private isFresh({ at }: Heard, now: number): boolean {
    return now - at < this.remember
  }

  /** Counts one more new datagram. `false`: it is one too many. */
  private count(sender: string, now: number): boolean {
    if (now - this.countedSince >= second) {
      this.countedSince = now
      this.counted = 0
      this.countedOf.clear()
    }
    const before = this.countedOf.get(sender) ?? 0
    if (this.counted >= maxNew || before >= maxNewOfSender) return false
    this.counted++
    this.countedOf.set(sender, before + 1)
    return true
  }

  private keep(announcement: Announcement, bytes: Uint8Array, sender: string, now: number): void {
    const peers = this.senders.get(sender) ?? this.place(sender, now)
    if (peers === undefined) return
    const peer = formatPublicKey(announcement.publicKey)
    const before = peers.get(peer)
    const isWorse = before?.announcement.isSigned === true && !announcement.isSigned
    if (before !== undefined && isWorse && this.isFresh(before, now)) return
    peers.set(peer, { announcement, bytes: new Uint8Array(bytes), at: now })
    if (peers.size <= maxPeers) return
    const [oldest] = [...peers].toSorted(([, a], [, b]) => a.at - b.at)
    if (oldest !== undefined) peers.delete(oldest[0])
  }

  /** The place of a new sender; none when all places are taken by senders that were heard lately. */
  private place(sender: string, now: number): Map<string, Heard> | undefined {
    if (this.senders.size >= maxSenders) this.forget(now)
    if (this.senders.size >= maxSenders) return undefined
    const peers = new Map<string, Heard>()
    this.senders.set(sender, peers)
    return peers
  }

  private forget(now: number): void {
    for (const [sender, peers] of this.senders) {
      for (const [peer, heard] of peers) if (!this.isFresh(heard, now)) peers.delete(peer)
      if (peers.size === 0) this.senders.delete(sender)
    }
  }
}
