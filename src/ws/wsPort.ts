/**
 * The port of a WebSocket: a byte stream over binary messages. What is offered in one tick goes out as one message, of
 * 64 KiB at most; what arrives is read however it is cut.
 */
import type { Socket } from "node:net"
import { WebSocket } from "ws"
import {
  type ConnectionReason,
  LocallyClosed,
  ProtocolViolation,
  Reset,
  TimedOut,
  Truncated
} from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"
import { Inbox } from "./inbox.ts"
import { Intake, isDriven, maxPulseMillis } from "./intake.ts"
import { headRoom, maskedFrame, maskedInPlace } from "./mask.ts"
import type { PortSocket } from "./portSocket.ts"

/** The longest message that is sent. */
const maxSent = 64 * 1024
/** Reading pauses when this many bytes wait to be taken. */
const readHighWater = 128 * 1024
/** Full when this many bytes wait for the kernel. */
const writeHighWater = 128 * 1024
/** How long a peer has to answer the Close of a port that is left, and one that broke the protocol to hear so. */
const lingerMillis = 1000

export interface Options {
  /**
   * Whether the end of one side is said by a transform above. Then a Close says that both have ended, and the peer's is
   * answered when this side has. Otherwise it is the end of the side that sends it, and the other one's is the answer.
   */
  readonly halfClose: boolean
  /** Whether this side has dialed, so that it masks what it sends, and the peer does not. */
  readonly dialed: boolean
  /** The longest message that is read. */
  readonly maxMessage: number
  /** Counts the socket while it outlives the connection, until what this gives is called. */
  readonly onLingering?: (end: () => void) => () => void
  /** After this much silence a ping goes out; the second in a row that nothing answers ends the connection. */
  readonly pingMillis: number
}

export class WsPort implements Port {
  readonly halfClose: boolean
  failure: ConnectionReason | undefined
  private readonly ws: PortSocket
  private readonly socket: Socket
  private listener: PortListener | undefined

  private readonly intake: Intake
  private readonly inbox = new Inbox()
  private inputEnded = false

  /** Whether frames are masked here, and not by `ws`. */
  private readonly masks: boolean
  private stage: Buffer | undefined
  private staged = 0
  private scheduled = false
  /** Bytes of messages that the kernel has not got. */
  private unsent = 0
  private closeSent = false

  private readonly pulse: NodeJS.Timeout
  private readonly pulsesPerPing: number
  private pulses = 0
  private lingering: NodeJS.Timeout | undefined
  private readonly onLingering: Options["onLingering"]
  private lingered: (() => void) | undefined
  private heard = 0
  private pings = 0

  /** Takes over a WebSocket that has just opened: what it hears from the first message on is the port's. */
  constructor(ws: PortSocket, socket: Socket, { dialed, halfClose, maxMessage, onLingering, pingMillis }: Options) {
    this.ws = ws
    this.socket = socket
    this.halfClose = halfClose
    this.onLingering = onLingering
    this.masks = dialed && isDriven(socket)
    this.intake = new Intake(ws, socket, { fromClient: !dialed, maxMessage }, this.onIdle)
    ws.on("message", this.onMessage)
    ws.on("pong", this.onPong)
    ws.on("error", this.onError)
    ws.on("close", this.onClose)
    ws.onPeerClose = this.onPeerClose
    socket.on("error", this.onSocketError)
    this.pulsesPerPing = Math.max(1, Math.ceil(pingMillis / maxPulseMillis))
    this.pulse = setInterval(this.onPulse, Math.min(pingMillis, maxPulseMillis)).unref()
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const first = this.listener === undefined
    this.listener = listener
    if (first) this.intake.release()
  }

  private readonly onMessage = (data: WebSocket.RawData, isBinary: boolean): void => {
    this.pings = 0
    if (this.failure !== undefined) return
    if (isBinary && Buffer.isBuffer(data)) {
      this.inbox.push(data)
      this.listener?.readable()
      if (this.inbox.bytes >= readHighWater) this.intake.hold()
    } else {
      this.violated(1003, "a text message")
    }
  }

  take(): Chunks | undefined {
    const chunks = this.inbox.take()
    if (chunks !== undefined && this.listener !== undefined) this.intake.release()
    return chunks
  }

  get ended(): boolean {
    return this.inputEnded && this.inbox.bytes === 0
  }

  /** A Close has arrived. */
  private readonly onPeerClose = (code: number): void => {
    // What came before was not all of it: this is no clean end.
    if (this.failure !== undefined) return
    if (code === 1000 || code === 1005) {
      this.inputEnded = true
      if (!this.halfClose || this.closeSent) this.sendClose()
      this.listener?.readable()
    } else {
      this.ws.sendClose(code)
      this.fail(new Reset({ code: `WS_${code}` }))
    }
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined) return true
    if (this.closeSent) {
      // The peer has closed, and without a half close that was it.
      this.fail(new Reset({ code: "EPIPE" }))
      return true
    }
    if (this.staged === 0 && bytes.length >= maxSent) return this.sendParts(bytes)
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + maxSent - this.staged)
      this.put(part)
      from += part.length
      if (this.staged === maxSent) this.sendStage()
    }
    if (this.staged > 0 && !this.scheduled) {
      this.scheduled = true
      queueMicrotask(this.onTick)
    }
    return true
  }

  private put(part: Uint8Array): void {
    const length = this.staged + part.length
    if (this.stage === undefined || this.stage.length < headRoom + length) {
      // The one message of a tick mostly, and then no larger than it; when more come it grows.
      const larger = Buffer.allocUnsafe(headRoom + (this.stage === undefined ? length : Math.min(maxSent, 4 * length)))
      if (this.stage !== undefined) larger.set(this.stage.subarray(0, headRoom + this.staged))
      this.stage = larger
    }
    this.stage.set(part, headRoom + this.staged)
    this.staged = length
  }

  private readonly onTick = (): void => {
    this.scheduled = false
    this.flush()
  }

  flush(): void {
    if (this.staged > 0) this.sendStage()
  }

  private sendStage(): void {
    const { stage, staged } = this
    this.stage = undefined
    this.staged = 0
    if (stage === undefined) return
    const message = this.masks ? maskedInPlace(stage, staged) : stage.subarray(headRoom, headRoom + staged)
    this.send(message, staged)
  }

  /**
   * In parts of about the same length, without a copy. Answers whether the kernel took them at once, as it mostly does.
   */
  private sendParts(bytes: Uint8Array): boolean {
    const length = Math.ceil(bytes.length / Math.ceil(bytes.length / maxSent))
    for (let from = 0; from < bytes.length; from += length) {
      const part = bytes.subarray(from, from + length)
      this.send(this.masks ? maskedFrame(part) : part, part.length)
    }
    return this.masks || this.ws.bufferedAmount === 0
  }

  /** Sends a message of so many bytes: a whole frame, where this side masks. */
  private send(message: Uint8Array, length: number): void {
    // The peer is gone: `close` is about to say so.
    if (this.ws.readyState !== WebSocket.OPEN) return
    this.unsent += length
    const onSent = (): void => {
      const wasFull = this.full
      this.unsent -= length
      if (this.pending === 0 || (wasFull && !this.full)) this.listener?.drained()
    }
    if (this.masks) this.socket.write(message, onSent)
    else this.ws.send(message, onSent)
  }

  get pending(): number {
    if (this.failure !== undefined) return 0
    // The socket's own count has what the kernel took already in this tick, and pings, frames and a Close besides.
    const buffered = this.ws.bufferedAmount
    return this.staged + (this.closeSent ? buffered : Math.min(this.unsent, buffered))
  }

  get full(): boolean {
    return this.failure === undefined && this.staged + this.unsent >= writeHighWater
  }

  end(): void {
    if (this.failure === undefined && !this.closeSent) this.sendClose()
  }

  private sendClose(): void {
    if (!this.closeSent) this.flush()
    this.closeSent = true
    this.ws.sendClose(1000)
    // `ws` doesn't tell when the Close has left; a write of nothing behind it does.
    if (this.ws.bufferedAmount > 0 && this.socket.writable)
      this.socket.write(new Uint8Array(0), () => this.listener?.drained())
  }

  // ---- silence ----

  private readonly onPong = (): void => {
    this.pings = 0
  }

  private readonly onIdle = (): void => {
    if (this.failure === undefined) this.violated(1008, "more control and empty frames than anybody needs")
  }

  private readonly onPulse = (): void => {
    // A part of a message counts too. Under Bun an accepted socket always says 0, so that only whole messages and pongs
    // count.
    const { bytesRead } = this.socket
    this.intake.forgetIdleFrames()
    this.pulses = (this.pulses + 1) % this.pulsesPerPing
    if (this.pulses !== 0) return
    if (this.intake.isHeld) {
      // Nothing is read, so nothing can be heard; a pong that nobody asked for says that this side lives.
      this.pings = 0
      if (this.ws.readyState === WebSocket.OPEN) this.ws.pong(undefined, undefined, ignore)
    } else if (bytesRead !== this.heard) {
      this.pings = 0
    } else if (this.pings === 2) {
      this.fail(new TimedOut())
      this.ws.terminate()
    } else {
      this.pings++
      if (this.ws.readyState === WebSocket.OPEN) this.ws.ping(undefined, undefined, ignore)
    }
    this.heard = bytesRead
  }

  // ---- failing and leaving ----

  private readonly onError = (error: NodeJS.ErrnoException): void => {
    // `ws` has sent a Close that says the same.
    if (error.code?.startsWith("WS_ERR_")) this.violated(undefined, error.message)
    else this.fail(new Reset({ code: error.code ?? "UNKNOWN", cause: error }))
  }

  private violated(code: number | undefined, detail: string): void {
    if (code !== undefined) this.ws.sendClose(code)
    this.linger()
    this.fail(new ProtocolViolation({ detail }))
  }

  private readonly onSocketError = (error: NodeJS.ErrnoException): void => {
    if (error.code === "ETIMEDOUT") this.fail(new TimedOut({ cause: error }))
  }

  private readonly onClose = (code: number): void => {
    this.stopTimers()
    this.lingered?.()
    // The `ws` of Bun answers the peer's Close itself, and tells of it only here. 1006 says that there was none.
    if (!this.inputEnded && code !== 1006) this.onPeerClose(code)
    if (!this.inputEnded) this.fail(new Truncated())
    else if (!this.closeSent || this.pending > 0) this.fail(new Reset({ code: "EPIPE" }))
  }

  private fail(reason: ConnectionReason): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.stage = undefined
    this.staged = 0
    this.listener?.readable()
    this.listener?.drained()
  }

  private stopTimers(): void {
    clearInterval(this.pulse)
    clearTimeout(this.lingering)
  }

  // ---- leaving ----

  /**
   * The kernel has our Close. The peer's is on its way or soon will be, and a socket that is gone when it arrives
   * resets the connection, with what the peer hasn't read yet: so the socket stays until then, for a moment at most.
   */
  close(): void {
    this.letGo()
    if (this.closeSent && !this.inputEnded) this.linger()
    this.destroy()
  }

  private linger(): void {
    clearInterval(this.pulse)
    this.lingering ??= setTimeout(this.cutOff, lingerMillis).unref()
    this.intake.release()
  }

  destroy(): void {
    this.letGo()
    if (this.lingering === undefined) this.cutOff()
    else if (this.ws.readyState !== WebSocket.CLOSED) this.lingered ??= this.onLingering?.(this.cutOff)
  }

  private readonly cutOff = (): void => {
    this.stopTimers()
    this.ws.terminate()
  }

  private letGo(): void {
    this.failure ??= new LocallyClosed({ why: "closed" })
    this.stage = undefined
    this.staged = 0
  }
}

const ignore = (): void => {}
