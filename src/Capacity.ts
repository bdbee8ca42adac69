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

  /** The least of these numbers is the most that may be open: the limit, and what each transport has room for. */
  constructor(...most: ReadonlyArray<number>) {
    this.most = Math.min(...most)
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
  }

  /** For a dial. A dial is never refused: this process has asked for it, and newcomers have less room meanwhile. */
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
