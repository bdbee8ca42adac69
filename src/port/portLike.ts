/** What is needed of a `MessagePort`, and what differs between the platforms that have one. */
import type { Carrier, Hearer, Posted } from "../messages/carrier.ts"
import { maxBuffer } from "../messages/credit.ts"
import { breakOff } from "../messages/message.ts"

interface Posting {
  postMessage(message: unknown, transfer?: ReadonlyArray<object>): void
  start?(): void
  close?(): void
}
interface EventTargetLike {
  addEventListener(type: string, listener: (event: object) => void): void
  removeEventListener(type: string, listener: (event: object) => void): void
}
interface EmitterLike {
  on(event: string, listener: (value: unknown) => void): unknown
  off(event: string, listener: (value: unknown) => void): unknown
}

/**
 * Something that posts and hears messages: a `MessagePort`, a `Worker`, a worker's own global scope or `parentPort`, or
 * Electron's `MessagePortMain`. If it has `on` and no `addEventListener`, that calls back with the message, or with an
 * event that has it as `data`.
 *
 * @category models
 * @since 0.1.0
 */
export type MessagePortLike = Posting & (EventTargetLike | EmitterLike)

const property = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

const hasMethod = (value: unknown, name: string): boolean => typeof property(value, name) === "function"

/** Whether a value that has arrived is a port. */
export const isPort = (value: unknown): value is MessagePortLike =>
  hasMethod(value, "postMessage") && (hasMethod(value, "addEventListener") || hasMethod(value, "on"))

/** Hears one kind of event until the returned function is called. */
const subscribe = (port: MessagePortLike, event: string, listener: (value: unknown) => void): (() => void) => {
  if ("addEventListener" in port) {
    port.addEventListener(event, listener)
    return () => port.removeEventListener(event, listener)
  }
  port.on(event, listener)
  return () => void port.off(event, listener)
}

/** Hears messages, and the ports that came beside each, until the returned function is called. */
export const onMessage = (
  port: MessagePortLike,
  hear: (message: unknown, ports: ReadonlyArray<unknown>) => void
): (() => void) => {
  const stop = subscribe(port, "message", (value) => {
    const ports = property(value, "ports")
    const isEvent = typeof value === "object" && value !== null && "data" in value
    hear(isEvent ? value.data : value, Array.isArray(ports) ? ports : [])
  })
  port.start?.()
  return stop
}

/** Hears that the other end is gone, where the platform tells: `exit` is that of a `Worker` of `worker_threads`. */
export const onGone = (port: MessagePortLike, gone: () => void): (() => void) => {
  const stops = ["close", "exit"].map((event) => subscribe(port, event, gone))
  return () => {
    for (const stop of stops) stop()
  }
}

/** The carrier over a port that is for one stream only. It notices from the start that the other end is gone. */
export class PortCarrier implements Carrier {
  readonly maxBytes = maxBuffer
  private readonly port: MessagePortLike
  private readonly copies: boolean
  private hearer: Hearer | undefined
  private isOpen = true
  private isGone = false
  private readonly stops: Array<() => void>

  /** `copies`: buffers are not transferred. */
  constructor(port: MessagePortLike, copies: boolean) {
    this.port = port
    this.copies = copies
    this.stops = [onGone(port, () => this.onGone())]
  }

  private onGone(): void {
    this.isGone = true
    this.hearer?.onClosed()
  }

  setHearer(hearer: Hearer): void {
    const isFirst = this.hearer === undefined
    this.hearer = hearer
    if (isFirst && this.isOpen) {
      this.stops.push(
        subscribe(this.port, "messageerror", () => this.hearer?.onUnreadable()),
        onMessage(this.port, (message) => this.hearer?.onMessage(message))
      )
    }
    if (this.isGone) hearer.onClosed()
  }

  post(message: Posted): void {
    if (!this.isOpen) return
    const isMoved = typeof message !== "string" && !this.copies
    try {
      this.port.postMessage(message, isMoved ? [message] : [])
    } catch (cause) {
      if (!isMoved) throw cause
      // The platform keeps some buffers where they are, such as the memory of WebAssembly. They can be copied.
      this.port.postMessage(message, [])
    }
  }

  close(): void {
    if (!this.isOpen) return
    this.isOpen = false
    for (const stop of this.stops) stop()
    this.port.close?.()
  }

  /** Posts a text of the time before the stream. */
  greet(text: string): void {
    try {
      this.post(text)
    } catch {
      // The other end is gone, and the stream's port will notice that.
    }
  }

  /** Posts a last text, and closes. */
  closeWith(text: string): void {
    this.greet(text)
    this.close()
  }

  /** Lets go of a port whose stream has not been left yet. */
  release(): void {
    this.closeWith(breakOff)
  }
}
