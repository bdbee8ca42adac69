/** The WebSocket of the `ws` package as a port needs it, and its limits on memory. */
import { WebSocket } from "ws"
import { maxPiece } from "./recut.ts"

/**
 * The longest message of a stack that authenticates, in bytes. It is short, because the first messages come from a peer
 * that has proved nothing yet.
 */
const authenticatedMaxMessage = 128 * 1024
/**
 * The default for other stacks, in bytes. It is long, because npm multiserver 3.8.2 sends each write as one message.
 */
export const defaultMaxMessage = 16 * 1024 * 1024

/** The longest message that is read over a stack, in bytes. `maxMessage` is for stacks that don't authenticate. */
export const maxMessageOf = (authenticates: boolean, maxMessage: number): number =>
  authenticates ? authenticatedMaxMessage : maxMessage

/** Options of `ws` for both roles. The limits on pieces matter only where `recut.ts` can't run, as under Bun. */
export const socketOptions = (authenticates: boolean, longest: number) => {
  const maxPayload = Math.min(maxMessageOf(authenticates, longest), maxPiece)
  return {
    perMessageDeflate: false,
    maxPayload,
    // Enough for frames of 16 KiB, and for reads of 64 bytes. Smaller pieces serve only to fill memory.
    maxFragments: Math.max(128, Math.ceil(maxPayload / (16 * 1024))),
    maxBufferedChunks: Math.max(2048, Math.ceil(maxPayload / 64)),
    // A peer that sends more pings than this loses the connection (`intake.ts`). In `ws` the number limits the pongs
    // that wait for a peer that never reads.
    maxPendingAutoPongs: 1024,
    // A text message ends the connection, whatever it says.
    skipUTF8Validation: true,
    // After this time `ws` would cut off a peer that reads slowly. The port has a timer of its own.
    closeTimeout: 2 ** 31 - 1
  }
}

/** The port over a WebSocket, which is told what happens to that. */
export interface Owner {
  readonly onMessage: (data: WebSocket.RawData, isBinary: boolean) => void
  readonly onPong: () => void
  readonly onError: (error: NodeJS.ErrnoException) => void
  readonly onClose: (code: number) => void
  /** The peer's Close has arrived. */
  readonly onPeerClose: (code: number) => void
  /** Nothing more will be read: the peer has sent a Close, or has broken the protocol. */
  readonly onReadEnd: () => void
}

/**
 * A WebSocket that tells its port of the peer's Close at once, and lets the port decide when to answer. By itself `ws`
 * would answer before this side has sent all that it still has, and tell only when the socket is gone.
 */
export class PortSocket extends WebSocket {
  owner: Owner | undefined

  /** Tells its owner all that happens from now on. The listeners are shared, because they would outweigh the rest. */
  tell(owner: Owner): void {
    this.owner = owner
    this.on("message", onMessage).on("pong", onPong).on("error", onError).on("close", onClose)
  }

  /**
   * `ws` calls this for the peer's Close, without arguments or with a code and a reason, and with a code alone when the
   * peer has broken the protocol.
   */
  override close(...said: [code?: number, reason?: string | Buffer]): void {
    this.owner?.onReadEnd()
    if (this.owner === undefined || said.length === 1) super.close(...said)
    else this.owner.onPeerClose(said[0] ?? 1005)
  }

  /** Sends a Close, or answers the peer's. */
  sendClose(code: number): void {
    super.close(code)
  }
}

const ownerOf = (ws: WebSocket): Owner | undefined => (ws instanceof PortSocket ? ws.owner : undefined)

function onMessage(this: WebSocket, data: WebSocket.RawData, isBinary: boolean): void {
  ownerOf(this)?.onMessage(data, isBinary)
}
function onPong(this: WebSocket): void {
  ownerOf(this)?.onPong()
}
function onError(this: WebSocket, error: NodeJS.ErrnoException): void {
  ownerOf(this)?.onError(error)
}
function onClose(this: WebSocket, code: number): void {
  ownerOf(this)?.onClose(code)
}
