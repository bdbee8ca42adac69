/**
 * A name over a gate: streams are dialed there, or accepted. Each gets a port of its own, that is sent over the gate.
 * Messages that are not of this protocol are the application's, and are ignored.
 */
import * as Effect from "effect/Effect"
import { type TransportReason, Unreachable } from "../DialError.ts"
import type { Gate, GateListener } from "./gate.ts"
import { isPort, type MessagePortLike, PortCarrier } from "./portLike.ts"

/** The name and version of what is said over such a port. */
const protocol = "effect-multiserver/port/1"

/**
 * `knock`: does somebody listen? `listening`: somebody does. `dial`: a stream, with its port. `name` is that of the
 * address, so that one port leads to several listeners.
 */
interface Control {
  readonly protocol: typeof protocol
  readonly type: "knock" | "listening" | "dial"
  readonly name: string
  readonly port?: unknown
}

const isControl = (message: unknown, name: string): message is Partial<Control> =>
  typeof message === "object" &&
  message !== null &&
  "protocol" in message &&
  message.protocol === protocol &&
  "name" in message &&
  message.name === name

/**
 * The two ends of a new channel.
 *
 * @category models
 * @since 0.1.0
 */
export interface Channel {
  readonly port1: MessagePortLike
  readonly port2: MessagePortLike
}

/** A dial that waits for somebody to listen at the other end. */
interface Waiter {
  readonly listening: () => void
  readonly gone: () => void
}

const otherEndGone: TransportReason = new Unreachable({ code: "PORT_CLOSED" })
const failed = (cause: unknown): TransportReason => new Unreachable({ code: "PORT_POST", cause })

export class Endpoint implements GateListener {
  private readonly name: string
  private readonly gate: Gate
  /** Ports are sent beside messages, and buffers are copied. */
  private readonly copies: boolean
  private readonly channel: () => Channel
  private readonly waiters = new Set<Waiter>()
  private onPort: ((port: MessagePortLike) => void) | undefined

  constructor(name: string, gate: Gate, copies: boolean, channel: () => Channel) {
    this.name = name
    this.gate = gate
    this.copies = copies
    this.channel = channel
  }

  /** Hears the gate while somebody dials or listens. */
  private hearWhileUsed(): void {
    if (this.onPort !== undefined || this.waiters.size > 0) this.gate.add(this)
    else this.gate.remove(this)
  }

  onGone(): void {
    for (const { gone } of this.waiters) gone()
  }

  onMessage(message: unknown, [beside]: ReadonlyArray<unknown>): void {
    if (!isControl(message, this.name)) return
    if (message.type === "listening") {
      for (const { listening } of this.waiters) listening()
    } else if (message.type === "knock") {
      if (this.onPort !== undefined) this.sayListening()
    } else if (message.type === "dial") {
      const port = message.port ?? beside
      if (isPort(port)) this.onPort?.(port)
    }
  }

  private post(type: Control["type"], port?: MessagePortLike): void {
    const message: Control = { protocol, type, name: this.name }
    if (port === undefined) this.gate.post(message, [])
    else this.gate.post(this.copies ? message : { ...message, port }, [port])
  }

  private sayListening(): void {
    try {
      this.post("listening")
    } catch {
      // The other end is gone, so that nobody waits for this.
    }
  }

  /** Hands over each port that arrives, until the returned function is called. */
  listen(onPort: (port: MessagePortLike) => void): () => void {
    this.onPort = onPort
    this.hearWhileUsed()
    this.sayListening()
    return () => {
      this.onPort = undefined
      this.hearWhileUsed()
    }
  }

  /** Waits until somebody listens at the other end. A port that is sent before that could be lost. */
  readonly knock: Effect.Effect<void, TransportReason> = Effect.callback((resume) => {
    if (this.gate.isGone) return resume(Effect.fail(otherEndGone))
    const leave = () => {
      this.waiters.delete(waiter)
      this.hearWhileUsed()
    }
    const done = (outcome: Effect.Effect<void, TransportReason>) => {
      leave()
      resume(outcome)
    }
    const waiter: Waiter = {
      listening: () => done(Effect.void),
      gone: () => done(Effect.fail(otherEndGone))
    }
    this.waiters.add(waiter)
    this.hearWhileUsed()
    try {
      this.post("knock")
    } catch (cause) {
      done(Effect.fail(failed(cause)))
    }
    return Effect.sync(leave)
  })

  /** Sends the other end a port of a new channel, and gives the carrier over the one that is kept. */
  readonly open: Effect.Effect<PortCarrier, TransportReason> = Effect.suspend(() => {
    const { port1, port2 } = this.channel()
    const sent = Effect.try({ try: () => this.post("dial", port2), catch: failed })
    return sent.pipe(
      Effect.tapError(() => Effect.sync(() => port1.close?.())),
      Effect.map(() => new PortCarrier(port1, this.copies))
    )
  })
}
