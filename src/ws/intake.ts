/**
 * Reads the socket of a WebSocket in turns, and cuts its frames into new ones before `ws` gets them (`recut.ts`).
 *
 * `ws` handles all frames of one read in a row, up to 11,000 if they are empty, and the event loop reads one socket up
 * to 32 times before it goes on to the next. So a peer that sends many small frames could keep all others waiting. Here
 * a turn of a socket has a limited number of frames and bytes, and then all other sockets get theirs.
 *
 * This replaces the listener with which `ws` hears the socket's data. Where there is none, as under Bun, which has a
 * `ws` of its own, it only pauses and resumes.
 */
import type { Socket } from "node:net"
import type { PortSocket } from "./portSocket.ts"
import { Recut, type Rules } from "./recut.ts"

/**
 * The most that one socket gets in a turn: how many frames may begin, and how many bytes. The last read may exceed the
 * number of bytes.
 */
const framesATurn = 64
const bytesATurn = 64 * 1024
/**
 * How many control and empty frames may arrive between two calls of `forgetIdleFrames`. An honest peer sends far fewer:
 * pings are for times of silence, and pongs answer pings.
 */
const maxIdleFrames = 1024

/** Whose socket it is. */
interface Owner {
  /** There are too many control and empty frames. */
  readonly onIdle: () => void
}

export class Intake {
  private readonly ws: PortSocket
  private readonly socket: Socket
  private readonly recut: Recut | undefined
  private held = true
  /** Its turn is used up: it is paused until the next. */
  private yielding = false
  /** A turn has begun, and `onTurn` is scheduled to end it. */
  private inTurn = false
  private bytes = 0
  private over = false

  private readonly owner: Owner

  /** Reading is held at first. */
  constructor(ws: PortSocket, socket: Socket, rules: Rules, owner: Owner) {
    this.ws = ws
    this.socket = socket
    this.owner = owner
    ws.pause()
    const [listener, ...others] = socket.listeners("data")
    if (listener === undefined || others.length > 0) return
    this.recut = new Recut(rules, (bytes) => {
      if (!this.over) listener.call(socket, bytes)
    })
    // In this order the socket is never without a listener, so its small table of them doesn't become a large one.
    socket.on("data", (chunk: Buffer) => this.onData(chunk))
    Reflect.apply(socket.off, socket, ["data", listener])
  }

  /**
   * Whether `ws` reads and writes this socket itself, so that its input and output can be changed here. Not under Bun.
   */
  get isDriven(): boolean {
    return this.recut !== undefined
  }

  /** Nothing more is read: `ws` only waits for the socket's end. */
  end(): void {
    this.over = true
  }

  /**
   * The socket has failed: cuts what it had read and not delivered yet. Otherwise `ws` would read it as whole frames.
   */
  readRest(): void {
    if (this.recut === undefined) return
    const rest: unknown = this.socket.read()
    for (let at = 0; Buffer.isBuffer(rest) && at < rest.length && !this.over; ) {
      this.recut.begun = 0
      at += this.recut.cut(rest.subarray(at), framesATurn)
    }
  }

  forgetIdleFrames(): void {
    if (this.recut !== undefined) this.recut.idle = 0
  }

  get isHeld(): boolean {
    return this.held
  }

  /** Pauses reading. What has been read already may still be delivered. */
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

  private onData(chunk: Buffer): void {
    if (this.over || this.recut === undefined) return
    if (!this.inTurn) {
      this.inTurn = true
      setImmediate(() => this.onTurn())
    }
    const used = this.recut.cut(chunk, framesATurn)
    this.bytes += used
    if (this.recut.idle > maxIdleFrames) this.owner.onIdle()
    if (used === chunk.length && this.recut.begun < framesATurn && this.bytes < bytesATurn) return
    this.yielding = true
    this.apply()
    if (used < chunk.length && !this.over) this.socket.unshift(chunk.subarray(used))
  }

  private onTurn(): void {
    this.inTurn = false
    this.bytes = 0
    if (this.recut !== undefined) this.recut.begun = 0
    if (!this.yielding) return
    this.yielding = false
    this.apply()
  }
}
