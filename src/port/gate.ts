/**
 * A port over which streams are dialed, which several names share. Its messages are heard only while one of them is
 * used.
 */
import { type MessagePortLike, onGone, onMessage } from "./portLike.ts"

/** Who hears what is posted over the gate. */
export interface GateListener {
  readonly onMessage: (message: unknown, ports: ReadonlyArray<unknown>) => void
  readonly onGone: () => void
}

export class Gate {
  /** Whether the other end is gone, as far as the platform tells. */
  isGone = false
  private readonly port: MessagePortLike
  private readonly listeners = new Set<GateListener>()
  private readonly stopGone: () => void
  /** Set while messages are heard. That keeps a process alive. */
  private stop: (() => void) | undefined

  constructor(port: MessagePortLike) {
    this.port = port
    // From the start, because a platform tells it once.
    this.stopGone = onGone(port, () => {
      this.isGone = true
      for (const each of this.listeners) each.onGone()
    })
  }

  add(listener: GateListener): void {
    this.listeners.add(listener)
    this.stop ??= onMessage(this.port, (message, ports) => {
      for (const each of this.listeners) each.onMessage(message, ports)
    })
  }

  remove(listener: GateListener): void {
    this.listeners.delete(listener)
    if (this.listeners.size > 0) return
    this.stop?.()
    this.stop = undefined
  }

  post(message: object, transfer: ReadonlyArray<object>): void {
    this.port.postMessage(message, transfer)
  }

  /** Hears nothing any more. */
  release(): void {
    this.stopGone()
    this.stop?.()
    this.stop = undefined
  }
}
