/**
 * Counts the open connections of a Multiserver, dialed and accepted ones together, and knows how many there may be. A
 * dial is never refused, because this process has asked for it: it may have to wait (`DialPlaces`), and while it lasts
 * there is less room for newcomers.
 */

export class Capacity {
  private readonly most: number
  private open = 0
  /** Called when a place has become free. */
  onGiven: (() => void) | undefined

  /** The smallest of these numbers is the limit: the configured one, and how many each transport has room for. */
  constructor(...most: ReadonlyArray<number>) {
    this.most = Math.min(...most)
  }

  /** How many connections are open. */
  get count(): number {
    return this.open
  }

  /** Whether there is no room for another newcomer. */
  get full(): boolean {
    return this.open >= this.most
  }

  take(): void {
    this.open++
  }

  give(): void {
    this.open--
    this.onGiven?.()
  }
}
