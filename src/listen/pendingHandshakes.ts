/**
 * The newcomers whose handshakes are pending, and which of them makes room for another one: the oldest.
 *
 * So whoever comes has as long as a flood needs to fill all places: 0.68 s at 1,500 a second. If one was chosen at
 * random, some would be ended who have only just come: with 50 ms to its first message, 7 in 100 at 1,500 a second.
 *
 * The silent and the answered wait apart, and it is one of whichever are more. So a flood of one kind costs only those
 * of its kind: who has been answered outlasts any number that say nothing, and the other way round.
 */
import type { Group, Place } from "./sources.ts"

/**
 * A source may have one of so many places before its oldest make room first, also when others are older. That is 16 of
 * 1,024: less would cost those who share an address, and more would let 64 addresses push out whoever is slow. A
 * network may have 8 times as many, and a region half of all.
 */
const sharedBy = 64

/** The one that has been among them for longest. */
export const firstOf = (places: ReadonlySet<Place>): Place | undefined => places.values().next().value

const none: ReadonlySet<Place> = new Set()

/** Those that are silent, for example, or those that have been answered. Who has been so for longest comes first. */
export class Crowd {
  readonly all = new Set<Place>()
  private readonly byGroup = new Map<Group, Set<Place>>()
  /** The groups that have more than their share. */
  private readonly greedy = new Set<Group>()
  private readonly most: number

  /** `most` is how many there may be, of both kinds together. */
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

  /** How many times its share a group has. */
  private excess(group: Group): number {
    const share = group.width * Math.max(1, this.most / sharedBy)
    return this.of(group).size / Math.min(share, Math.max(group.width, this.most / 2))
  }

  /** The oldest of the group that has most for its width, when that is more than its share; otherwise the oldest. */
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
  /** In the order in which they came. */
  private readonly queue = new Set<Place>()
  private readonly silent: Crowd
  private readonly answered: Crowd

  /** `most` is how many there may be. */
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

  /** A second time does nothing. */
  remove(place: Place): void {
    if (this.queue.delete(place)) this.crowdOf(place).remove(place)
  }

  /** Runs `change`, which changes what the place is listed by. A place that is not pending any more stays so. */
  change(place: Place, change: () => void): void {
    const isPending = this.queue.has(place)
    if (isPending) this.crowdOf(place).remove(place)
    change()
    if (isPending) this.crowdOf(place).add(place)
  }

  /** Who makes room for any newcomer. */
  victim(): Place | undefined {
    const { answered, silent } = this
    return (answered.all.size > silent.all.size ? answered : silent).victim()
  }

  /** Who makes room for a newcomer of this group. */
  victimOf(group: Group): Place | undefined {
    const [answered, silent] = [this.answered.of(group), this.silent.of(group)]
    return firstOf(answered.size > silent.size ? answered : silent)
  }

  private crowdOf({ answered }: Place): Crowd {
    return answered ? this.answered : this.silent
  }
}
