/** A port over which streams are dialed, which several names share. It is heard only while one of them is used. */
import { type MessagePortLike, onGone, onMessage } from "./portLike.ts"

/** Who hears what is posted over the gate. */
export interface GateListener {
  readonly onMessage: (message: unknown, ports: ReadonlyArray<unknown>) => void
  readonly onGone: () => void
}

export class Gate {
  private readonly port: MessagePortLike
  private readonly listeners = new Set<GateListener>()
  /** Set while the port is heard. That keeps a process alive. */
  private stop: (() => void) | undefined

  constructor(port: MessagePortLike) {
    this.port = port
  }

  add(listener: GateListener): void {
    this.listeners.add(listener)
    if (this.stop !== undefined) return
    const stops = [
      onGone(this.port, () => {
        for (const each of this.listeners) each.onGone()
      }),
      onMessage(this.port, (message, ports) => {
        for (const each of this.listeners) each.onMessage(message, ports)
      })
    ]
    this.stop = () => {
      for (const stop of stops) stop()
    }
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
}
