/** The newcomers whose handshakes are pending, and which of them makes room for another one. */
import type * as Random from "effect/Random"
import { drop, put } from "./listed.ts"
import type { Place, Source } from "./sources.ts"

/** How many of the sources that hold most are searched for a newcomer that has not been answered. */
const tries = 8

export class PendingHandshakes {
  private readonly random: Random.Random
  /** In the order in which they came. */
  private readonly queue = new Set<Place>()
  /** The sources, by how many pending newcomers they have. */
  private readonly levels: Array<Array<Source> | undefined> = []
  /** The highest level that has a source. */
  private top = 0

  constructor(random: Random.Random) {
    this.random = random
  }

  get size(): number {
    return this.queue.size
  }

  get oldest(): Place | undefined {
    const [oldest] = this.queue
    return oldest
  }

  add(place: Place): void {
    this.list(place, place.source.silent)
    this.queue.add(place)
  }

  /** A second time does nothing. */
  remove(place: Place): void {
    this.queue.delete(place)
    this.unlist(place)
  }

  /** Runs `change`, which gives the place another source. A place that is not pending any more stays so. */
  move(place: Place, change: () => void): void {
    const { list } = place
    const silent = list === place.source.silent
    this.unlist(place)
    change()
    if (list !== undefined) this.list(place, silent ? place.source.silent : place.source.answered)
  }

  /**
   * The one that makes room: of the source that holds most, one that has not been answered; otherwise any. It is chosen
   * at random, so that nobody can push out a slow peer on purpose.
   */
  victim(): Place | undefined {
    const largest = this.levels[this.top] ?? []
    let source: Source | undefined
    for (let i = 0; i < Math.min(tries, largest.length); i++) {
      source = this.any(largest)
      const silent = source && this.silent(source)
      if (silent !== undefined) return silent
    }
    return source && this.any(source.answered)
  }

  /** Moves those that have been answered since to the other list, so that each is asked only once. */
  private silent(source: Source): Place | undefined {
    for (;;) {
      const place = this.any(source.silent)
      if (place === undefined || !place.newcomer.answered()) return place
      drop(source.silent, place)
      put(source.answered, place)
      place.list = source.answered
    }
  }

  private any<A>(list: ReadonlyArray<A>): A | undefined {
    return list[Math.floor(this.random.nextDoubleUnsafe() * list.length)]
  }

  private list(place: Place, list: Array<Place>): void {
    const { source } = place
    const before = source.pending
    place.list = list
    put(list, place)
    this.level(source, before)
  }

  private unlist(place: Place): void {
    if (place.list === undefined) return
    const before = place.source.pending
    drop(place.list, place)
    place.list = undefined
    this.level(place.source, before)
  }

  /** Moves a source to the level of as many pending newcomers as it has now. */
  private level(source: Source, before: number): void {
    const { pending } = source
    if (before > 0) drop(this.levels[before] ?? [], source)
    if (pending > 0) {
      const level = this.levels[pending] ?? []
      this.levels[pending] = level
      put(level, source)
    }
    this.top = Math.max(this.top, pending)
    while (this.top > 0 && (this.levels[this.top]?.length ?? 0) === 0) this.top--
  }
}
