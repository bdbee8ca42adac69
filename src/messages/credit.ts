/** Credit: how much of a stream may be on its way. The reader grants it, and the writer spends it. */

/**
 * What each buffer costs beyond its bytes. It bounds how many short ones can wait, since a message takes memory of its
 * own.
 */
const perBuffer = 64

/** The credit that a buffer of so many bytes takes. */
export const costOf = (bytes: number): number => bytes + perBuffer

/** The longest buffer. One stage of a codec (66,128 bytes) fits in. */
export const maxBuffer = 66_560

/** How much may be on its way to a reader and wait there. */
export const windowCredit = 256 * 1024
/** A reader grants no less, so that a writer hears of it once for several buffers. It is enough for any buffer. */
export const minGrant = windowCredit / 2
/** The most credit that a writer takes. A peer that grants more wants this side to fill its memory. */
export const maxCredit = 1024 * 1024

/** The reader's side: what the peer may still send. */
export class Granted {
  private left = 0

  /** A buffer has arrived. Answers whether there was credit for it. */
  spend(bytes: number): boolean {
    const cost = costOf(bytes)
    if (cost > this.left) return false
    this.left -= cost
    return true
  }

  /** How much to grant now that nothing waits to be taken. 0: too little to say so. */
  renew(): number {
    const more = windowCredit - this.left
    if (more < minGrant) return 0
    this.left += more
    return more
  }
}

/** The writer's side: what may still be sent. */
export class Credit {
  private left = 0

  /** The peer has granted more. Answers whether that is a credit which this side takes. */
  receive(more: number): boolean {
    if (this.left + more > maxCredit) return false
    this.left += more
    return true
  }

  allows(bytes: number): boolean {
    return costOf(bytes) <= this.left
  }

  spend(bytes: number): void {
    this.left -= costOf(bytes)
  }
}
