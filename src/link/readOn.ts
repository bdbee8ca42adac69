/** Reading on and discarding what arrives, before a socket is closed. */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { monotonicMillis } from "../monotonic.ts"
import type { Port, PortListener } from "../Port.ts"

/** How often to look whether the peer still sends, in milliseconds. */
export const lookMillis = 20

/** How long to read on, in milliseconds. */
export interface Patience {
  /** How long to wait for the first bytes. */
  readonly first: number
  /** How long to wait for more bytes after the last ones arrived. */
  readonly more: number
  readonly altogether: number
}

/** Takes what arrives, and throws it away. */
class Discard implements PortListener {
  private readonly port: Port
  arrived = false
  hasThrown = false

  constructor(port: Port) {
    this.port = port
  }

  readable(): void {
    // A port that throws is destroyed when it is left, like any other. Nothing needs to hear of the exception here.
    try {
      while (this.port.take() !== undefined) this.arrived = true
    } catch {
      this.hasThrown = true
    }
  }

  drained(): void {}
}

/**
 * Takes what arrives at a port until the peer has ended or is silent. A socket that is closed over unread bytes resets
 * the connection, and the peer loses what it has yet to read.
 */
export const readOn = (port: Port, { altogether, first, more }: Patience): Effect.Effect<void> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const discard = new Discard(port)
    port.listen(discard)
    discard.readable()
    const began = monotonicMillis(clock)
    let last = began
    let patience = first
    for (;;) {
      const now = monotonicMillis(clock)
      if (discard.arrived) {
        discard.arrived = false
        last = now
        patience = more
      }
      if (
        discard.hasThrown ||
        port.ended ||
        port.failure !== undefined ||
        now - began >= altogether ||
        now - last >= patience
      )
        return
      yield* Effect.sleep(lookMillis)
    }
  })
