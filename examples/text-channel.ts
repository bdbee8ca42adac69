import { Result } from "effect"
import * as Base64 from "effect/encoding/Base64"
import type { MessagePorts } from "effect-multiserver"

// Ports over a channel that carries nothing but text, such as React Native's to its Node, or that of a web view. Both
// ends are of one program: nothing that arrives is checked.

export interface TextChannel {
  readonly send: (text: string) => void
  readonly hear: (onText: (text: string) => void) => void
}

/** Both ends of a port have its id. `ports` are the ids of those that come beside a message. */
interface Envelope {
  readonly id: string
  readonly value?: unknown
  readonly bytes?: string
  readonly ports?: ReadonlyArray<string>
  readonly closed?: boolean
}

type Listener = (value: unknown) => void

class TextPort {
  readonly id: string
  private readonly send: (envelope: Envelope) => void
  private readonly listeners = new Map<string, Set<Listener>>()
  private waiting: Array<unknown> | undefined = []

  constructor(id: string, send: (envelope: Envelope) => void) {
    this.id = id
    this.send = send
  }
  on(event: string, listener: Listener): void {
    this.listeners.set(event, (this.listeners.get(event) ?? new Set()).add(listener))
  }
  off(event: string, listener: Listener): void {
    this.listeners.get(event)?.delete(listener)
  }
  emit(event: string, value?: unknown): void {
    for (const listener of this.listeners.get(event) ?? []) listener(value)
  }
  /** Messages wait until somebody has begun to hear. */
  arrive(message: { readonly data: unknown; readonly ports: ReadonlyArray<TextPort> }): void {
    if (this.waiting === undefined) this.emit("message", message)
    else this.waiting.push(message)
  }
  start(): void {
    const waiting = this.waiting ?? []
    this.waiting = undefined
    for (const message of waiting) this.emit("message", message)
  }
  postMessage(message: unknown, transfer: ReadonlyArray<object> = []): void {
    const ports = transfer.flatMap((port) => (port instanceof TextPort ? [port.id] : []))
    const { id } = this
    if (message instanceof ArrayBuffer) this.send({ id, ports, bytes: Base64.encode(new Uint8Array(message)) })
    else this.send({ id, ports, value: message })
  }
  close(): void {
    this.send({ id: this.id, closed: true })
  }
}

/** The options of `MessagePorts.layer` for services over the channel. The two ends have different sides. */
export const over = (
  channel: TextChannel,
  side: "left" | "right",
  ...names: ReadonlyArray<string>
): MessagePorts.Options => {
  const ports = new Map<string, TextPort>()
  let made = 0
  const send = (envelope: Envelope) => {
    if (envelope.closed) ports.delete(envelope.id)
    channel.send(JSON.stringify(envelope))
  }
  const open = (id: string) => {
    const port = new TextPort(id, send)
    ports.set(id, port)
    return port
  }
  channel.hear((text) => {
    const { bytes, closed, id, ports: beside = [], value }: Envelope = JSON.parse(text)
    const port = ports.get(id)
    if (closed) {
      ports.delete(id)
      port?.emit("close")
    } else {
      const data = bytes === undefined ? value : Result.getOrThrow(Base64.decode(bytes)).slice().buffer
      port?.arrive({ data, ports: beside.map(open) })
    }
  })
  const root = open("root")
  return {
    ports: Object.fromEntries(names.map((name) => [name, root])),
    copies: true,
    channel: () => {
      const id = `${side}-${made++}`
      return { port1: open(id), port2: new TextPort(id, send) }
    }
  }
}
