/** What a scenario found: what was measured, and what did not hold. */

/** One promise, and how it is tried. */
export interface Verdict {
  readonly measured: string
  /** What did not hold. */
  readonly broken: ReadonlyArray<string>
  /** What did not hold and depends on how fast the machine is. */
  readonly late: ReadonlyArray<string>
}

export class Checks {
  private readonly broken: Array<string> = []
  private readonly late: Array<string> = []

  holds(condition: boolean, otherwise: string): void {
    if (!condition) this.broken.push(otherwise)
  }

  /** Counts in the full size only. */
  inTime(condition: boolean, otherwise: string): void {
    if (!condition) this.late.push(otherwise)
  }

  /** Whether all held so far. */
  get allHold(): boolean {
    return this.broken.length === 0
  }

  verdict(measured: string): Verdict {
    return { measured, broken: this.broken, late: this.late }
  }
}
