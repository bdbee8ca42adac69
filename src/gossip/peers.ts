/** The peers of a gossip: which of them a round is with, and which of them may begin an exchange. No I/O, no clock. */
import * as Result from "effect/Result"
import { type Fault, fault } from "./fault.ts"

/** Picks `count` of them at random. If there are fewer, it picks all. */
export const choose = <A>(all: ReadonlyArray<A>, count: number, random: () => number): ReadonlyArray<A> => {
  const left = [...all]
  const chosen: Array<A> = []
  while (chosen.length < count && left.length > 0) chosen.push(...left.splice(Math.floor(random() * left.length), 1))
  return chosen
}

/** Exchanges that are served at once, of all peers together: each takes at most 50 kB. */
export const maxServed = 64
/** Exchanges of one key that are served at once: a new one, and one whose end was not noticed yet. */
export const maxServedOfOne = 2
/** Exchanges that one key may begin at once, if it has begun none for a while. */
export const burst = 8
/** Milliseconds after which a key may begin one more. Nodes of our own begin a round no sooner after another. */
export const refill = 2000

interface Guest {
  served: number
  /** How many exchanges it may begin, at the time `since`. */
  tokens: number
  since: number
}

/** Who may begin an exchange. It remembers one entry for each name, so names have to be those of a list. */
export class Door {
  private readonly guests = new Map<string, Guest>()
  private served = 0

  /**
   * Admits an exchange: then call `leave` when it ends. `isCounted` is whether this name has limits of its own. `now`
   * is in milliseconds, since any moment.
   */
  enter(name: string, isCounted: boolean, now: number): Result.Result<void, Fault> {
    const guest = this.guests.get(name) ?? { served: 0, tokens: burst, since: now }
    if (this.served >= maxServed || (isCounted && guest.served >= maxServedOfOne)) {
      return fault("Busy", "too many exchanges are served at once")
    }
    const tokens = Math.min(burst, guest.tokens + Math.max(0, now - guest.since) / refill)
    if (isCounted && tokens < 1) return fault("TooOften", `it begins exchanges more often than each ${refill} ms`)
    this.guests.set(name, { served: guest.served + 1, tokens: tokens - 1, since: now })
    this.served++
    return Result.void
  }

  leave(name: string): void {
    const guest = this.guests.get(name)
    if (guest === undefined) return
    guest.served--
    this.served--
  }
}
