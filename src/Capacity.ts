/**
 * How many connections a Multiserver may have. Dialed and accepted ones share the number. A dial is not refused,
 * because this process has asked for it: newcomers have less room meanwhile (`DialPlaces`).
 */

export class Capacity {
  private readonly most: number
  private open = 0
  /** Hears that a place has become free. */
  onGiven: (() => void) | undefined

  /** The least of these numbers is the most that may be open: the limit, and what each transport has room for. */
  constructor(...most: ReadonlyArray<number>) {
    this.most = Math.min(...most)
  }

  /** How many are open. */
  get count(): number {
    return this.open
  }

  /** Whether a newcomer would be one too many. */
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
