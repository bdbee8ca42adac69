/**
 * Reads the socket of a WebSocket in turns, and cuts what comes anew before `ws` gets it (`recut.ts`).
 *
 * `ws` handles all frames of a read in one go, 11,000 of them when they are empty, and the event loop reads one socket
 * up to 32 times before it turns to the next. A peer whose frames cost most would keep everybody else waiting. Here a
 * socket has one turn of so many frames and bytes, then all others have theirs.
 *
 * It takes the place of the listener with which `ws` hears the socket's data. Where `ws` has none, as under Bun, whose
 * `ws` is its own, it only pauses and resumes.
 */
import type { Socket } from "node:net"
import type { PortSocket } from "./portSocket.ts"
import { Recut, type Rules } from "./recut.ts"

/** The most that one socket gets in a turn: of frames that begin, and of bytes. The last read may go over. */
const framesATurn = 64
const bytesATurn = 64 * 1024
/**
 * How many control and empty frames may come until `forgetIdleFrames`. Nobody who talks sends that many: pings are
 * there for silence, and pongs for pings.
 */
const maxIdleFrames = 1024
/** They are forgotten this often, however seldom a ping goes out. */
export const maxPulseMillis = 30_000

/** The listener of `ws`, when it is as it was: one function that hears the socket's data. */
const listenerOf = (socket: Socket): ((bytes: Buffer) => void) | undefined => {
  const [listener, ...others] = socket.listeners("data")
  return listener === undefined || others.length > 0 ? undefined : (bytes) => void listener.call(socket, bytes)
}

/** Whether `ws` reads and writes this socket itself, so that what it would read and write can be changed. */
export const isDriven = (socket: Socket): boolean => listenerOf(socket) !== undefined

export class Intake {
  private readonly ws: PortSocket
  private readonly socket: Socket
  private readonly recut: Recut | undefined
  private held = true
  /** It has had its turn. */
  private yielding = false
  /** A turn is under way, and will be over. */
  private inTurn = false
  private bytes = 0
  private over = false

  private readonly onIdle: () => void

  /** It begins held. `onIdle` hears of too many frames that carry nothing. */
  constructor(ws: PortSocket, socket: Socket, rules: Rules, onIdle: () => void) {
    this.ws = ws
    this.socket = socket
    this.onIdle = onIdle
    ws.pause()
    const feed = listenerOf(socket)
    if (feed === undefined) return
    this.recut = new Recut(rules, (bytes) => {
      if (!this.over) feed(bytes)
    })
    ws.onReadEnd = () => {
      this.over = true
    }
    socket.removeAllListeners("data").on("data", this.onData)
  }

  forgetIdleFrames(): void {
    if (this.recut !== undefined) this.recut.idle = 0
  }

  get isHeld(): boolean {
    return this.held
  }

  /** Nothing more is wanted for now. What has been read may still come. */
  hold(): void {
    this.held = true
    this.apply()
  }

  release(): void {
    this.held = false
    this.apply()
  }

  private apply(): void {
    const paused = this.held || this.yielding
    if (paused === this.ws.isPaused) return
    if (paused) this.ws.pause()
    else this.ws.resume()
  }

  private readonly onData = (chunk: Buffer): void => {
    // From now on `ws` only waits for the end.
    if (this.over || this.recut === undefined) return
    if (!this.inTurn) {
      this.inTurn = true
      setImmediate(this.onTurn)
    }
    const used = this.recut.cut(chunk, framesATurn)
    this.bytes += used
    if (this.recut.idle > maxIdleFrames) this.onIdle()
    if (used === chunk.length && this.recut.begun < framesATurn && this.bytes < bytesATurn) return
    this.yielding = true
    this.apply()
    if (used < chunk.length && !this.over) this.socket.unshift(chunk.subarray(used))
  }

  private readonly onTurn = (): void => {
    this.inTurn = false
    this.bytes = 0
    if (this.recut !== undefined) this.recut.begun = 0
    if (!this.yielding) return
    this.yielding = false
    this.apply()
  }
}
