/**
 * The port of a platform's own WebSocket, as browsers, workers, React Native, Deno and Node have it: a byte stream over
 * binary messages. It differs from Node's port in what the platform doesn't let a program do:
 *
 * - Reading can't be paused. What is unread is bounded, and above the bound the connection ends with `Overflow`.
 * - Nothing says when sent bytes have left. While some wait, a timer looks at `bufferedAmount`. React Native has no
 *   such number. There, what was sent since the peer was last heard is bounded, and above the bound the connection ends
 *   with `Overflow`.
 * - The platform answers a Close of the peer by itself, and then sends nothing more. A write after that fails: `EPIPE`.
 * - After this side's own Close, the platform delivers nothing more: what is still on its way is lost.
 * - There is no way to cut a connection off. A Close with code 4000 stands for it, and is no clean end to any peer.
 */

import { appended } from "../appended.ts"
import {
  type ConnectionReason,
  locallyClosed,
  Overflow,
  ProtocolViolation,
  Reset,
  Truncated
} from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"
import { Inbox } from "./inbox.ts"

/**
 * What a port needs of an event of a WebSocket.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketEvent {
  readonly type: string
  readonly data?: unknown
  readonly code?: number
  readonly error?: unknown
}

/**
 * What a port needs of a WebSocket.
 *
 * @category models
 * @since 0.1.0
 */
export interface WebSocketLike {
  binaryType: string
  readonly readyState: number
  /** `undefined` where the platform does not know, as in React Native. */
  readonly bufferedAmount?: number | undefined
  addEventListener(type: "open" | "message" | "error" | "close", listener: (event: WebSocketEvent) => void): void
  send(data: Uint8Array<ArrayBuffer>): void
  close(code?: number): void
}

const open = 1

/** The Close of a connection that is broken off. Platforms let programs send 1000, and 3000 to 4999. */
const brokenOff = 4000

/** The longest message that is sent, in bytes. */
const maxSent = 64 * 1024
/** The port is full when this many bytes wait. In a background tab, the timer that looks may run once a second. */
const writeHighWater = 1024 * 1024
/** How often `bufferedAmount` is looked at while something waits. Browsers have no shorter timers. */
const lookMillis = 4

export interface Options {
  /** Whether a transform above signals the end of each side. */
  readonly halfClose: boolean
  /** How many bytes may wait to be read. */
  readonly maxUnread: number
  /** How many bytes may be sent since the peer was last heard, where the platform has no `bufferedAmount`. */
  readonly maxUnheard: number
}

/** How the WebSocket opens, or why it doesn't. Called once. */
export interface Opening {
  readonly opened: () => void
  /** With the code of the Close, which is mostly 1006, and the platform's error, if it shows one. */
  readonly failed: (code: number, error: unknown) => void
}

export class BrowserPort implements Port {
  readonly halfClose: boolean
  readonly copies = true
  failure: ConnectionReason | undefined
  private readonly ws: WebSocketLike
  private readonly maxUnread: number
  private readonly maxUnheard: number
  private listener: PortListener | undefined
  private opening: Opening | undefined
  private error: unknown

  private readonly inbox = new Inbox()
  private inputEnded = false

  /** What is written in one tick, which goes out as one message. */
  private stage: Uint8Array<ArrayBuffer> | undefined
  private scheduled = false
  /** Whether bytes were accepted that the platform would not send any more. */
  private lost = false
  private closeSent = false
  /** The bytes sent since the peer was last heard. */
  private unheard = 0
  private timer: ReturnType<typeof setTimeout> | undefined

  /** Takes over a WebSocket that was made in this turn. */
  constructor(ws: WebSocketLike, { halfClose, maxUnheard, maxUnread }: Options, opening: Opening) {
    this.ws = ws
    this.halfClose = halfClose
    this.maxUnread = maxUnread
    this.maxUnheard = maxUnheard
    this.opening = opening
    ws.binaryType = "arraybuffer"
    ws.addEventListener("open", () => {
      this.opening?.opened()
      this.opening = undefined
    })
    ws.addEventListener("message", ({ data }) => this.onMessage(data))
    // What went wrong is in the Close that follows.
    ws.addEventListener("error", ({ error }) => {
      this.error = error
    })
    ws.addEventListener("close", ({ code = 1006 }) => this.onClose(code))
  }

  // ---- reading ----

  listen(listener: PortListener): void {
    this.listener = listener
    if (this.inbox.bytes > 0 || this.inputEnded || this.failure !== undefined) listener.readable()
  }

  private onMessage(data: unknown): void {
    if (this.failure !== undefined) return
    if (!(data instanceof ArrayBuffer)) {
      this.breakOff(new ProtocolViolation({ detail: "a text message" }))
      return
    }
    this.unheard = 0
    this.inbox.push(new Uint8Array(data))
    this.listener?.readable()
    if (this.inbox.bytes > this.maxUnread) this.breakOff(new Overflow({ limit: this.maxUnread }))
  }

  take(): Chunks | undefined {
    return this.inbox.take()
  }

  get ended(): boolean {
    return this.inputEnded && this.inbox.bytes === 0
  }

  private onClose(code: number): void {
    this.stopLooking()
    this.opening?.failed(code, this.error)
    const wasOpen = this.opening === undefined
    this.opening = undefined
    if (!wasOpen || this.failure !== undefined) return
    if (code !== 1000 && code !== 1005) {
      this.fail(code === 1006 ? new Truncated() : new Reset({ code: `WS_${code}` }))
      return
    }
    this.inputEnded = true
    if (this.pending > 0 || this.lost) this.fail(new Reset({ code: "EPIPE" }))
    this.listener?.readable()
    this.listener?.drained()
  }

  // ---- writing ----

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined) return true
    if (this.closeSent || this.ws.readyState !== open) {
      // As a kernel does: the bytes are accepted, and a moment later it turns out that nobody is there to get them.
      this.lost = true
      queueMicrotask(this.refuse)
      return true
    }
    for (let from = 0; from < bytes.length; ) {
      const part = bytes.subarray(from, from + maxSent - this.staged)
      this.put(part)
      from += part.length
      if (this.staged === maxSent) this.flush()
    }
    if (this.staged > 0 && !this.scheduled) {
      this.scheduled = true
      queueMicrotask(this.onTick)
    }
    return true
  }

  private readonly refuse = (): void => {
    // A stream that is not whole has another reason, which the `close` event is about to say.
    if (this.inputEnded || this.closeSent) this.fail(new Reset({ code: "EPIPE" }))
  }

  private put(part: Uint8Array): void {
    this.stage = this.stage === undefined ? new Uint8Array(part) : appended(this.stage, part, maxSent)
  }

  private readonly onTick = (): void => {
    this.scheduled = false
    this.flush()
  }

  flush(): void {
    const { stage } = this
    if (stage === undefined) return
    this.stage = undefined
    if (this.ws.readyState !== open) {
      // The peer is gone: the `close` event is about to say so.
      this.lost = true
      return
    }
    this.ws.send(stage)
    this.unheard += stage.length
    if (this.ws.bufferedAmount === undefined && this.unheard > this.maxUnheard) {
      this.breakOff(new Overflow({ limit: this.maxUnheard, of: "sent" }))
      return
    }
    this.look()
    if (this.pending === 0) this.listener?.drained()
  }

  private get staged(): number {
    return this.stage?.length ?? 0
  }

  get pending(): number {
    return this.failure === undefined ? this.staged + this.buffered : 0
  }

  private get buffered(): number {
    return this.ws.bufferedAmount ?? 0
  }

  get full(): boolean {
    return this.pending >= writeHighWater
  }

  /** Looks at what has left, and again later if something still waits. */
  private look(): void {
    if (this.timer !== undefined || this.buffered === 0) return
    this.timer = setTimeout(() => {
      this.timer = undefined
      this.look()
      if (!this.full) this.listener?.drained()
    }, lookMillis)
  }

  private stopLooking(): void {
    clearTimeout(this.timer)
    this.timer = undefined
  }

  end(): void {
    if (this.failure !== undefined || this.closeSent) return
    this.flush()
    this.closeSent = true
    // The platform sends it behind everything that waits.
    this.ws.close(1000)
    this.look()
  }

  // ---- failing and leaving ----

  private fail(reason: ConnectionReason): void {
    if (this.failure !== undefined) return
    this.failure = reason
    this.letGo()
    this.listener?.readable()
    this.listener?.drained()
  }

  private breakOff(reason: ConnectionReason): void {
    this.fail(reason)
    this.cutOff()
  }

  /** Everything was handed to the platform, and the Close behind it. The platform does the rest. */
  close(): void {
    this.failure ??= locallyClosed
    this.letGo()
  }

  destroy(): void {
    this.close()
    this.opening = undefined
    this.cutOff()
  }

  private cutOff(): void {
    if (this.closeSent) return
    this.closeSent = true
    this.ws.close(brokenOff)
  }

  private letGo(): void {
    this.stage = undefined
    this.stopLooking()
  }
}
