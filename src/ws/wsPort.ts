/**
 * The port of a WebSocket: a byte stream over binary messages. What is offered in one tick goes out as one message, or
 * as several if it is more than 64 KiB. What arrives may be cut into messages in any way.
 */
import type { Socket } from "node:net"
import { WebSocket } from "ws"
import {
  type ConnectionReason,
  locallyClosed,
  ProtocolViolation,
  Reset,
  TimedOut,
  Truncated
} from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"
import { ignore } from "../sockets/socketPort.ts"
import { Inbox } from "./inbox.ts"
import { Intake } from "./intake.ts"
import { maskedFrame } from "./mask.ts"
import { type Framing, maxSent, Outbox } from "./outbox.ts"
import type { Owner, PortSocket } from "./portSocket.ts"
import type { Pulsed, Pulses } from "./pulses.ts"

/** Reading pauses when this many bytes wait to be taken. */
const readHighWater = 128 * 1024
/** The port is full when this many bytes wait for the kernel. */
const writeHighWater = 128 * 1024
/** How long a socket may outlive its port: until the peer answers the Close, or learns that it broke the protocol. */
const lingerMillis = 1000

export interface Options {
  /**
   * Whether a transform above signals the end of each side. If so, the peer's Close is answered only when this side has
   * ended too. Otherwise a Close ends both sides, and is answered at once.
   */
  readonly halfClose: boolean
  /** Whether this side has dialed. A dialer masks the frames that it sends, and a listener does not. */
  readonly dialed: boolean
  /** The longest message that is read, in bytes. */
  readonly maxMessage: number
  /** Counts the socket while it outlives the connection, until the returned function is called. `end` cuts it off. */
  readonly onLingering?: (end: () => void) => () => void
  /** After a silence a ping goes out. When two pings in a row get no answer, the connection ends. */
  readonly pulses: Pulses
}

export class WsPort implements Port, Owner, Pulsed {
  readonly halfClose: boolean
  failure: ConnectionReason | undefined
  private readonly ws: PortSocket
  private readonly socket: Socket
  private listener: PortListener | undefined

  private readonly intake: Intake
  private readonly inbox = new Inbox()
  private inputEnded = false

  private readonly framing: Framing
  private readonly outbox: Outbox
  private scheduled = false
  /** How many bytes of messages the kernel has not got yet. */
  private unsent = 0
  private closeSent = false
  /** Whether the kernel has our Close. */
  private closeLeft = false
  private readonly pulses: Pulses
  private readonly slot: number
  private pulsesHad = 0
  private lingering: NodeJS.Timeout | undefined
  private readonly onLingering: Options["onLingering"]
  private lingered: (() => void) | undefined
  private heard = 0
  private pings = 0

  /** Takes over a WebSocket that has just opened. The port gets its messages from the first one on. */
  constructor(ws: PortSocket, socket: Socket, { dialed, halfClose, maxMessage, onLingering, pulses }: Options) {
    this.ws = ws
    this.socket = socket
    this.halfClose = halfClose
    this.onLingering = onLingering
    this.intake = new Intake(ws, socket, { fromClient: !dialed, maxMessage }, this)
    this.framing = this.intake.isDriven ? (dialed ? "client" : "server") : "ws"
    this.outbox = new Outbox(this.framing)
    ws.tell(this)
    socket.on("error", (error: NodeJS.ErrnoException) => this.onSocketError(error))
    this.pulses = pulses
    this.slot = pulses.add(this)
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    const first = this.listener === undefined
    this.listener = listener
    if (first) this.intake.release()
  }

  onMessage(data: WebSocket.RawData, isBinary: boolean): void {
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

  onReadEnd(): void {
    this.intake.end()
  }

  onPeerClose(code: number): void {
    // The port has failed, so the stream was not whole: this is no clean end.
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
      // Without a half close, the peer's Close has ended this side too.
      this.fail(new Reset({ code: "EPIPE" }))
      return true
    }
    if (this.outbox.bytes === 0 && bytes.length >= maxSent) return this.sendParts(bytes)
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + this.outbox.left)
      this.outbox.put(part)
      from += part.length
      if (this.outbox.left === 0) this.flush()
    }
    if (this.outbox.bytes > 0 && !this.scheduled) {
      this.scheduled = true
      queueMicrotask(this.onTick)
    }
    return true
  }

  private readonly onTick = (): void => {
    this.scheduled = false
    this.flush()
  }

  flush(): void {
    const length = this.outbox.bytes
    const message = this.outbox.take()
    if (message !== undefined) this.send(message, length, this.framing !== "ws")
  }

  /** Sends messages of about equal length. Returns whether `bytes` were copied, or taken by the kernel at once. */
  private sendParts(bytes: Uint8Array): boolean {
    const length = Math.ceil(bytes.length / Math.ceil(bytes.length / maxSent))
    const masks = this.framing === "client"
    for (let from = 0; from < bytes.length; from += length) {
      const part = bytes.subarray(from, from + length)
      this.send(masks ? maskedFrame(part) : part, part.length, masks)
    }
    return masks || this.ws.bufferedAmount === 0
  }

  /** Sends a message with `length` bytes of payload. `isFrame`: `message` has its head already. */
  private send(message: Uint8Array, length: number, isFrame: boolean): void {
    if (this.ws.readyState !== WebSocket.OPEN) return void this.cannotSend()
    this.unsent += length
    const onSent = (): void => {
      if (this.isDropped) return
      const wasFull = this.full
      this.unsent -= length
      if (this.pending === 0 || (wasFull && !this.full)) this.listener?.drained()
    }
    if (isFrame) this.socket.write(message, onSent)
    else this.ws.send(message, onSent)
  }

  /** `ws` has closed the socket for writing, because the peer has. */
  private cannotSend(): void {
    // Without a Close of the peer's, it is gone, and the `close` event is about to say so.
    if (this.inputEnded) this.fail(new Reset({ code: "EPIPE" }))
  }

  /** Whether the socket has dropped what the kernel did not take. Node calls the callbacks of such writes too. */
  private get isDropped(): boolean {
    return this.framing !== "ws" && this.socket.destroyed
  }

  get pending(): number {
    if (this.failure !== undefined) return 0
    // `buffered` drops when the kernel takes bytes, `unsent` later. But `buffered` counts pings, heads and a Close too.
    const buffered = this.ws.bufferedAmount
    return this.outbox.bytes + (this.closeSent ? buffered : Math.min(this.unsent, buffered))
  }

  get full(): boolean {
    return this.failure === undefined && this.outbox.bytes + this.unsent >= writeHighWater
  }

  end(): void {
    if (this.failure === undefined && !this.closeSent) this.sendClose()
  }

  private sendClose(): void {
    if (!this.closeSent && this.ws.readyState !== WebSocket.OPEN) return void this.cannotSend()
    // What waits and the Close go out together.
    this.socket.cork()
    if (!this.closeSent) this.flush()
    this.closeSent = true
    this.ws.sendClose(1000)
    this.socket.uncork()
    this.closeLeft = this.ws.bufferedAmount === 0
    // `ws` doesn't tell when the Close has left, so an empty write behind it does.
    if (!this.closeLeft && this.socket.writable) this.socket.write(new Uint8Array(0), this.onCloseLeft)
  }

  private readonly onCloseLeft = (): void => {
    if (this.isDropped) return
    this.closeLeft = true
    this.listener?.drained()
  }

  // ---- silence ----

  onPong(): void {
    this.pings = 0
  }

  /** There are too many control and empty frames. */
  onIdle(): void {
    if (this.failure === undefined) this.violated(1008, "too many control and empty frames")
  }

  onPulse(): void {
    // Parts of messages count too. Not for an accepted socket under Bun, where `bytesRead` is always 0.
    const { bytesRead } = this.socket
    this.intake.forgetIdleFrames()
    this.pulsesHad = (this.pulsesHad + 1) % this.pulses.perPing
    if (this.pulsesHad !== 0) return
    if (this.intake.isHeld) {
      // The peer's pongs are not read now, so silence means nothing. An unasked pong says that this side lives.
      this.pings = 0
      if (this.ws.readyState === WebSocket.OPEN) this.ws.pong(undefined, undefined, ignore)
    } else if (bytesRead !== this.heard) {
      this.pings = 0
    } else if (this.pings === 2) {
      this.fail(new TimedOut({ why: "silent" }))
      this.ws.terminate()
    } else {
      this.pings++
      if (this.ws.readyState === WebSocket.OPEN) this.ws.ping(undefined, undefined, ignore)
    }
    this.heard = bytesRead
  }

  // ---- failing ----

  private onSocketError(error: NodeJS.ErrnoException): void {
    if (this.failure !== undefined || this.inputEnded) return
    // What had arrived can still be read.
    this.intake.readRest()
    const { code = "UNKNOWN" } = error
    this.fail(code === "ETIMEDOUT" ? new TimedOut({ why: "silent", cause: error }) : new Reset({ code, cause: error }))
  }

  onError(error: NodeJS.ErrnoException): void {
    if (this.failure !== undefined) return
    // `ws` has sent a Close with the matching code.
    if (error.code?.startsWith("WS_ERR_")) this.violated(undefined, error.message)
    else this.fail(new Reset({ code: error.code ?? "UNKNOWN", cause: error }))
  }

  private violated(code: number | undefined, detail: string): void {
    if (code !== undefined) this.ws.sendClose(code)
    this.linger()
    this.fail(new ProtocolViolation({ detail }))
  }

  onClose(code: number): void {
    this.pulses.delete(this, this.slot)
    clearTimeout(this.lingering)
    this.lingered?.()
    // Bun's own `ws` answers the peer's Close itself, and tells of it only here. Code 1006: there was no Close.
    if (!this.inputEnded && code !== 1006) this.onPeerClose(code)
    if (this.failure !== undefined) return
    if (!this.inputEnded) this.fail(new Truncated())
    else if (!this.closeLeft || this.unsent > 0 || this.outbox.bytes > 0) this.fail(new Reset({ code: "EPIPE" }))
  }

  private fail(reason: ConnectionReason): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.outbox.clear()
    this.listener?.readable()
    this.listener?.drained()
  }

  // ---- leaving ----

  /**
   * The kernel has our Close. If the peer's came to a socket that is gone, the kernel would reset the connection, and
   * the peer would lose what it hasn't read yet. So the socket waits for it, for `lingerMillis` at most.
   */
  close(): void {
    this.letGo()
    if (this.closeSent && !this.inputEnded) this.linger()
    // Before Node reports the write of the Close, it would make an error for that.
    if (this.closeLeft && this.inputEnded) process.nextTick(this.cutOff)
    else this.destroy()
  }

  private linger(): void {
    this.pulses.delete(this, this.slot)
    this.lingering ??= setTimeout(this.cutOff, lingerMillis).unref()
    this.intake.release()
  }

  destroy(): void {
    this.letGo()
    if (this.lingering === undefined) this.cutOff()
    else if (this.ws.readyState !== WebSocket.CLOSED) this.lingered ??= this.onLingering?.(this.cutOff)
  }

  /** `onClose` follows, and stops the timers. */
  private readonly cutOff = (): void => this.ws.terminate()

  private letGo(): void {
    this.failure ??= locallyClosed
    this.outbox.clear()
  }
}
