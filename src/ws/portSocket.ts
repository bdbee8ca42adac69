/** The WebSocket of the `ws` package as a port needs it, and what it may cost in memory. */
import { WebSocket } from "ws"
import { maxPiece } from "./recut.ts"

/**
 * What a stack that authenticates reads at most as one message: nobody has proved anything when the first ones come.
 */
const authenticatedMaxMessage = 128 * 1024
/** And any other: npm multiserver 3.8.2 sends each write as one message. */
export const defaultMaxMessage = 16 * 1024 * 1024

/** The longest message that is read over a stack. */
export const maxMessageOf = (authenticates: boolean, maxMessage: number): number =>
  authenticates ? authenticatedMaxMessage : maxMessage

/** Options of `ws` for both roles. What bounds pieces is for runtimes where messages are not cut anew (`recut.ts`). */
export const socketOptions = (authenticates: boolean, longest: number) => {
  const maxPayload = Math.min(maxMessageOf(authenticates, longest), maxPiece)
  return {
    perMessageDeflate: false,
    maxPayload,
    // A message in pieces of 16 KiB, or of 64 bytes of TCP, is odd enough; smaller ones are there to fill memory.
    maxFragments: Math.max(128, Math.ceil(maxPayload / (16 * 1024))),
    maxBufferedChunks: Math.max(2048, Math.ceil(maxPayload / 64)),
    // More pings at once than this end a connection here (`intake.ts`). In `ws` the number is there for who never
    // reads.
    maxPendingAutoPongs: 1024,
    // Text ends the connection whatever it says.
    skipUTF8Validation: true,
    // The one timer of ws that would cut off a slow reader: the port has its own.
    closeTimeout: 2 ** 31 - 1
  }
}

/**
 * A WebSocket whose port hears at once of the peer's Close, and decides when it is answered: `ws` itself would answer
 * before what this side still owes, and tell only when the socket is gone.
 */
export class PortSocket extends WebSocket {
  onPeerClose: ((code: number) => void) | undefined
  /** Nothing more is read: the peer has said Close, or broken the protocol. */
  onReadEnd: (() => void) | undefined

  /**
   * `ws` calls this with what the peer's Close said, nothing or a code and a reason, and with a code alone when it is
   * at fault.
   */
  override close(...said: [code?: number, reason?: string | Buffer]): void {
    this.onReadEnd?.()
    if (this.onPeerClose === undefined || said.length === 1) super.close(...said)
    else this.onPeerClose(said[0] ?? 1005)
  }

  /** Sends a Close, or answers the peer's. */
  sendClose(code: number): void {
    super.close(code)
  }
}
