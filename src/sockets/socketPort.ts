/** The port of a Node stream socket: TCP or a unix socket. */
import type { Socket } from "node:net"
import { isArrayNonEmpty } from "effect/Array"
import { type ConnectionReason, locallyClosed, Reset, TimedOut } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener, Rooms } from "../Port.ts"
import { type ReadTarget, readBytes, type StaticRead } from "./staticRead.ts"

/** Reading pauses when this many bytes wait to be taken. The last read may exceed it. */
const readHighWater = 4 * 1024
/** The port is full when this many bytes wait for the kernel. */
const writeHighWater = 64 * 1024
/** A reader that gets this much at a time reads in bulk. It may have to write it somewhere before it asks for more. */
const bulkBytes = 32 * 1024
/**
 * Bytes that are kept for a reader are cut into pieces of this length, which holds one of noise's largest frames.
 * Larger pieces are expensive for V8.
 */
const pieceBytes = 66_128

/**
 * Destroys a socket. If its last write is done, it is destroyed only after the tick in which Node reports that:
 * earlier, Node would make an error for each callback of a write.
 */
export const release = (socket: Socket): void => {
  if (socket.writableEnded && socket.writableLength === 0) process.nextTick(() => socket.destroy())
  else socket.destroy()
}

/**
 * Breaks a socket off. Where no transform authenticates, the peer would take a FIN for the end of complete data, so the
 * connection is reset instead, unless this side has ended already. A unix socket, which has no address, can't be reset.
 */
export const breakOff = (socket: Socket, authenticates: boolean): void => {
  const hasEnded = socket.writableEnded && socket.writableLength === 0
  if (authenticates || hasEnded || socket.remoteAddress === undefined) socket.destroy()
  else socket.resetAndDestroy()
}

/**
 * The error listener of a socket that has no port yet: without a listener, Node would throw the error. Its port looks
 * at the state of the socket later.
 */
export const ignore = (): void => {}

/** The property of a socket that has its port, for listeners that all sockets share. */
const portOf = Symbol("port")

/**
 * A socket listener that all sockets share: it finds the port by the socket. Listeners of its own would cost every idle
 * connection 200 bytes.
 */
const forPort = <A extends ReadonlyArray<unknown>>(hear: (port: SocketPort, ...args: A) => void) =>
  function (this: Socket, ...args: A): void {
    const port: unknown = Reflect.get(this, portOf)
    if (port instanceof SocketPort) hear(port, ...args)
  }

export class SocketPort implements Port, ReadTarget {
  readonly halfClose = true
  readonly resets = true
  failure: ConnectionReason | undefined
  readonly rooms: Rooms
  private readonly socket: Socket
  /** Whether a transform of the stack over this port authenticates. */
  private readonly authenticates: boolean
  /** Set if the socket reads into the buffer that all sockets share. */
  private readonly read: StaticRead | undefined
  /** The bytes in that buffer that were not taken or copied yet. */
  private arrived: Uint8Array | undefined
  private listener: PortListener | undefined
  private incoming: Array<Uint8Array> = []
  private incomingBytes = 0
  private paused = true
  /** The reader has come back for more since the last read. */
  private asked = false
  /** Reading goes on when other sockets have had their turn. */
  private yielding = false
  private inputEnded = false

  /** With `read`, the socket is paused and reads into the shared buffer. */
  constructor(socket: Socket, rooms: Rooms, authenticates: boolean, read?: StaticRead) {
    this.socket = socket
    this.authenticates = authenticates
    this.rooms = rooms
    this.read = read
    // The end may have been reported before this port listened, even while the socket was paused.
    this.inputEnded = socket.readableEnded
    socket.off("error", ignore)
    // Only when needed, because the call turns the socket's small table of listeners into a large hash table.
    if (socket.listenerCount("error") > 0) socket.removeAllListeners("error")
    Reflect.set(socket, portOf, this)
    socket.on("error", SocketPort.onError)
    socket.on("close", SocketPort.onClose)
    if (socket.destroyed) this.closed()
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const first = this.listener === undefined
    this.listener = listener
    if (!first) return
    if (this.read === undefined) this.socket.on("data", (chunk: Uint8Array) => this.onData(chunk))
    else this.read.target = this
    this.socket.on("end", SocketPort.onEnd)
    this.resume()
  }

  private onData(chunk: Uint8Array): void {
    this.keep(chunk)
    this.listener?.readable()
    if (this.isFull && !this.paused) {
      this.paused = true
      this.socket.pause()
    }
  }

  onRead(bytes: Uint8Array): boolean {
    this.arrived = bytes
    this.asked = false
    this.listener?.readable()
    this.keepArrived()
    this.paused = this.isFull || (bytes.length >= bulkBytes && !this.asked)
    if (this.paused || bytes.length < readBytes) return !this.paused
    // The event loop reads a socket up to 32 times before it turns to the next socket. This gives each socket one read
    // in a row, so that a peer whose packets are expensive to open does not delay the others.
    this.yielding = true
    setImmediate(() => this.onTurn())
    return false
  }

  private onTurn(): void {
    this.yielding = false
    if (!this.paused) this.socket.resume()
  }

  private keep(bytes: Uint8Array): void {
    this.incoming.push(bytes)
    this.incomingBytes += bytes.length
  }

  private keepArrived(): void {
    const { arrived } = this
    if (arrived === undefined) return
    this.arrived = undefined
    for (let from = 0; from < arrived.length; from += pieceBytes) {
      const piece = arrived.subarray(from, from + pieceBytes)
      const own = this.rooms.fresh.take(piece.length)
      own.set(piece)
      this.keep(own)
    }
  }

  private get isFull(): boolean {
    return this.incomingBytes >= readHighWater
  }

  private resume(): void {
    if (!this.paused || this.listener === undefined) return
    this.paused = false
    if (!this.yielding) this.socket.resume()
  }

  private static readonly onEnd = forPort((port): void => {
    port.inputEnded = true
    port.listener?.readable()
  })

  borrow(): Chunks | undefined {
    const { arrived } = this
    if (arrived === undefined || this.incoming.length > 0) return undefined
    this.arrived = undefined
    return [arrived]
  }

  take(): Chunks | undefined {
    this.keepArrived()
    const { incoming } = this
    if (!isArrayNonEmpty(incoming)) {
      this.asked = true
      this.resume()
      return undefined
    }
    // After a large batch, reading goes on only when the reader asks again: it may have to write the batch somewhere
    // first.
    if (this.incomingBytes < bulkBytes) this.resume()
    this.incoming = []
    this.incomingBytes = 0
    return incoming
  }

  get ended(): boolean {
    return this.inputEnded && this.incoming.length === 0
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined || !this.socket.writable) return true
    this.socket.write(bytes, this.onWritten)
    // Mostly the kernel takes the bytes at once. Then nothing holds them any more, and the caller may reuse them.
    return this.socket.writableLength === 0
  }

  private readonly onWritten = (): void => {
    if (this.socket.writableLength === 0) this.listener?.drained()
  }

  get pending(): number {
    return this.failure === undefined ? this.socket.writableLength : 0
  }

  get full(): boolean {
    return this.socket.writableLength >= writeHighWater && this.failure === undefined
  }

  cork(): void {
    this.socket.cork()
  }

  uncork(): void {
    this.socket.uncork()
  }

  flush(): void {}

  end(): void {
    if (this.socket.writable) this.socket.end()
  }

  // ---- failing and leaving ----

  private static readonly onError = forPort((port, error: NodeJS.ErrnoException): void => {
    const code = error.code ?? "UNKNOWN"
    port.fail(code === "ETIMEDOUT" ? new TimedOut({ why: "silent", cause: error }) : new Reset({ code, cause: error }))
  })

  private static readonly onClose = forPort((port): void => port.closed())

  private closed(): void {
    if (this.failure !== undefined) return
    // A close after both sides have ended is no failure.
    if (!this.inputEnded || !this.socket.writableFinished) this.fail(new Reset({ code: "EPIPE" }))
  }

  private fail(reason: ConnectionReason): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.listener?.readable()
    this.listener?.drained()
  }

  close(): void {
    this.failure ??= locallyClosed
    release(this.socket)
  }

  destroy(): void {
    this.failure ??= locallyClosed
    breakOff(this.socket, this.authenticates)
  }
}
