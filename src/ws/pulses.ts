/**
 * One timer for all WebSockets of a transport. A timer for each would take more memory than what it is for. The
 * WebSockets stand in a circle of slots, and the timer gives one slot after another its pulse: so the pings of many
 * silent peers don't all go out in one tick.
 */

/** Each WebSocket gets a pulse at least this often, even if pings go out less often. */
const maxPulseMillis = 30_000
/** How many slots a round has at most. */
const maxSlots = 64

/** What gets pulses. */
export interface Pulsed {
  readonly onPulse: () => void
}

export class Pulses {
  /** A ping may go out at every so many pulses. */
  readonly perPing: number
  private readonly slots: ReadonlyArray<Set<Pulsed>>
  private readonly tickMillis: number
  private at = 0
  private size = 0
  private timer: NodeJS.Timeout | undefined

  /** `pingMillis` is the silence after which a ping goes out. */
  constructor(pingMillis: number) {
    const roundMillis = Math.min(pingMillis, maxPulseMillis)
    const count = Math.max(1, Math.min(maxSlots, Math.floor(roundMillis)))
    this.perPing = Math.max(1, Math.ceil(pingMillis / maxPulseMillis))
    this.slots = Array.from({ length: count }, () => new Set<Pulsed>())
    this.tickMillis = roundMillis / count
  }

  /** The first pulse comes after a whole round, less one tick at most. Returns the slot, for `delete`. */
  add(pulsed: Pulsed): number {
    this.slots[this.at]?.add(pulsed)
    this.size++
    this.timer ??= setInterval(() => this.tick(), this.tickMillis).unref()
    return this.at
  }

  /** Ends the pulses of what `add` has put into this slot. A second time does nothing. */
  delete(pulsed: Pulsed, slot: number): void {
    if (this.slots[slot]?.delete(pulsed) !== true) return
    this.size--
    if (this.size > 0) return
    clearInterval(this.timer)
    this.timer = undefined
  }

  private tick(): void {
    this.at = (this.at + 1) % this.slots.length
    for (const pulsed of this.slots[this.at] ?? []) pulsed.onPulse()
  }
}
