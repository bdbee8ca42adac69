/**
 * The newcomers whose handshakes are pending, and which of them makes room for another one: the oldest.
 *
 * With the oldest, every newcomer has as long as a flood needs to fill all places: 0.68 s at 1,500 newcomers a second.
 * A random choice would also end newcomers that have just arrived: at that rate, 7 in 100 of those whose first message
 * takes 50 ms.
 *
 * Silent and answered newcomers wait in separate crowds, and the larger crowd makes room. So a flood of one kind costs
 * only newcomers of that kind: an answered newcomer outlasts any number of silent ones, and the other way round.
 */
import type { Group, Place } from "./sources.ts"

/**
 * The places are divided into this many shares. A source with more than its share makes room first, even when newcomers
 * of other sources are older. A share is 16 of 1,024 places: less would cost clients that share an address, and more
 * would let 64 addresses push out every slow client. A network may have 8 shares, and a region half of all places.
 */
const sharedBy = 64

/** The place that was added first. */
export const firstOf = (places: ReadonlySet<Place>): Place | undefined => places.values().next().value

const none: ReadonlySet<Place> = new Set()

/** Places of one kind, such as the silent ones or the answered ones. The place that was added first comes first. */
export class Crowd {
  readonly all = new Set<Place>()
  private readonly byGroup = new Map<Group, Set<Place>>()
  /** The groups that have more than their share. */
  private readonly greedy = new Set<Group>()
  private readonly most: number

  /** `most` is the number of all places, for both kinds together. */
  constructor(most: number) {
    this.most = most
  }

  of(group: Group): ReadonlySet<Place> {
    return this.byGroup.get(group) ?? none
  }

  add(place: Place): void {
    this.all.add(place)
    for (const group of place.groups) {
      const places = this.byGroup.get(group) ?? new Set()
      this.byGroup.set(group, places.add(place))
      if (this.excess(group) > 1) this.greedy.add(group)
    }
  }

  remove(place: Place): void {
    if (!this.all.delete(place)) return
    for (const group of place.groups) {
      const places = this.byGroup.get(group)
      places?.delete(place)
      if (this.excess(group) <= 1) this.greedy.delete(group)
      if (places?.size === 0) this.byGroup.delete(group)
    }
  }

  /** The size of a group, in shares. */
  private excess(group: Group): number {
    const share = group.width * Math.max(1, this.most / sharedBy)
    return this.of(group).size / Math.min(share, Math.max(group.width, this.most / 2))
  }

  /** The oldest place of the group that exceeds its share most; if none does, the oldest of all. */
  victim(): Place | undefined {
    let places: ReadonlySet<Place> = this.all
    let most = 1
    for (const group of this.greedy) {
      const excess = this.excess(group)
      if (excess <= most) continue
      most = excess
      places = this.of(group)
    }
    return firstOf(places)
  }
}

export class PendingHandshakes {
  /** In order of arrival. */
  private readonly queue = new Set<Place>()
  private readonly silent: Crowd
  private readonly answered: Crowd

  /** `most` is the number of places. */
  constructor(most: number) {
    this.silent = new Crowd(most)
    this.answered = new Crowd(most)
  }

  get size(): number {
    return this.queue.size
  }

  get oldest(): Place | undefined {
    return firstOf(this.queue)
  }

  has(place: Place): boolean {
    return this.queue.has(place)
  }

  add(place: Place): void {
    this.queue.add(place)
    this.crowdOf(place).add(place)
  }

  /** A second call does nothing. */
  remove(place: Place): void {
    if (this.queue.delete(place)) this.crowdOf(place).remove(place)
  }

  /** Runs `change`, which may change the groups or the crowd of a place. A place that is not pending stays unlisted. */
  change(place: Place, change: () => void): void {
    const isPending = this.queue.has(place)
    if (isPending) this.crowdOf(place).remove(place)
    change()
    if (isPending) this.crowdOf(place).add(place)
  }

  /** The place that makes room for any newcomer. */
  victim(): Place | undefined {
    const { answered, silent } = this
    return (answered.all.size > silent.all.size ? answered : silent).victim()
  }

  /** The place that makes room for a newcomer of this group. */
  victimOf(group: Group): Place | undefined {
    const [answered, silent] = [this.answered.of(group), this.silent.of(group)]
    return firstOf(answered.size > silent.size ? answered : silent)
  }

  private crowdOf({ answered }: Place): Crowd {
    return answered ? this.answered : this.silent
  }
}
