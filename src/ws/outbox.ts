/** What is written in one tick, which goes out as one message. */
import { framedInPlace, headRoom, maskedInPlace } from "./mask.ts"

/** The longest message that is made here, in bytes. */
export const maxSent = 64 * 1024

/** Who makes the frame of a message: the client's are masked, and `ws` makes its own from the payload. */
export type Framing = "client" | "server" | "ws"

export class Outbox {
  /** How many bytes wait. */
  bytes = 0
  /** Begins with room for the head of a frame. */
  private room: Buffer | undefined
  private readonly framing: Framing

  constructor(framing: Framing) {
    this.framing = framing
  }

  /** How many bytes the message can still take. */
  get left(): number {
    return maxSent - this.bytes
  }

  /** Copies a part, of `left` bytes at most. */
  put(part: Uint8Array): void {
    const length = this.bytes + part.length
    if (this.room === undefined || this.room.length < headRoom + length) {
      // Mostly a tick has one part, so the first buffer just fits. It grows when more come.
      const larger = Buffer.allocUnsafe(headRoom + (this.room === undefined ? length : Math.min(maxSent, 4 * length)))
      if (this.room !== undefined) larger.set(this.room.subarray(0, headRoom + this.bytes))
      this.room = larger
    }
    this.room.set(part, headRoom + this.bytes)
    this.bytes = length
  }

  /** Takes the message: a frame, or the payload for `ws`. */
  take(): Uint8Array | undefined {
    const { bytes, room } = this
    this.clear()
    if (room === undefined) return undefined
    switch (this.framing) {
      case "client":
        return maskedInPlace(room, bytes)
      case "server":
        return framedInPlace(room, bytes)
      case "ws":
        return room.subarray(headRoom, headRoom + bytes)
    }
  }

  clear(): void {
    this.room = undefined
    this.bytes = 0
  }
}
