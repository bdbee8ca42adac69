/** How many connections a Multiserver may have. Dialed and accepted ones share the number. */

/** The room that one dial takes. */
export interface Lease {
  /** Takes the room, when the dial begins to connect. */
  readonly begin: () => void
  /** Gives the room back; after that `begin` does nothing. A second call does nothing. */
  readonly end: () => void
}

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

  /**
   * For a dial. A dial is not refused: this process has asked for it, and newcomers have less room meanwhile. While
   * there are no file descriptors for it, it waits (`DialPlaces`).
   */
  lease(): Lease {
    let state: "before" | "open" | "ended" = "before"
    return {
      begin: () => {
        if (state !== "before") return
        state = "open"
        this.take()
      },
      end: () => {
        if (state === "open") this.give()
        state = "ended"
      }
    }
  }
}
