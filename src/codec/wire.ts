/** What a handshake does with a port: reads of exact length and small writes. What it doesn't read stays here. */
import * as Effect from "effect/Effect"
import { type ConnectionReason, type PortFailure, Truncated } from "../ConnectionError.ts"
import type { Leaving, Link } from "../Link.ts"
import type { Port, PortListener } from "../Port.ts"

/** What a handshake talks over. */
export interface Wire {
  /** Exactly `length` bytes. An end before them fails with `Truncated`. */
  readonly read: (length: number) => Effect.Effect<Uint8Array, ConnectionReason>
  /** The bytes are the wire's from now on. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionReason>
}

/** A failure as a handshake gets it. */
const failing = (failure: PortFailure): Effect.Effect<never, ConnectionReason> =>
  failure._tag === "Defect" ? Effect.die(failure.cause) : Effect.fail(failure)

export class PortWire implements Wire, PortListener {
  private readonly port: Port
  private readonly leaving: Leaving
  private chunks: Array<Uint8Array> = []
  private have = 0
  private waiting: (() => void) | undefined

  constructor({ leaving, port }: Link) {
    this.port = port
    this.leaving = leaving
    port.listen(this)
  }

  readable(): void {
    this.waiting?.()
  }

  drained(): void {
    if (this.port.failure !== undefined) this.waiting?.()
  }

  read(length: number): Effect.Effect<Uint8Array, ConnectionReason> {
    return Effect.callback((resume) => {
      const attempt = () => {
        const outcome = this.tryRead(length)
        if (outcome === undefined) return
        this.waiting = undefined
        resume(outcome)
      }
      this.waiting = attempt
      attempt()
      return Effect.sync(() => {
        this.waiting = undefined
      })
    })
  }

  private tryRead(length: number): Effect.Effect<Uint8Array, ConnectionReason> | undefined {
    while (this.have < length) {
      const chunks = this.port.take()
      if (chunks === undefined) {
        if (this.port.ended) return Effect.fail(new Truncated())
        return this.port.failure === undefined ? undefined : failing(this.port.failure)
      }
      for (const chunk of chunks) {
        this.chunks.push(chunk)
        this.have += chunk.length
        this.leaving.handshakeRead += chunk.length
      }
    }
    return Effect.succeed(this.cut(length))
  }

  private cut(length: number): Uint8Array {
    const out = new Uint8Array(length)
    let at = 0
    while (at < length) {
      const chunk = this.chunks[0] as Uint8Array
      const part = chunk.subarray(0, length - at)
      out.set(part, at)
      at += part.length
      if (part.length === chunk.length) this.chunks.shift()
      else this.chunks[0] = chunk.subarray(part.length)
    }
    this.have -= length
    return out
  }

  write(bytes: Uint8Array): Effect.Effect<void, ConnectionReason> {
    return Effect.suspend(() => {
      if (this.port.failure !== undefined) return failing(this.port.failure)
      this.leaving.handshakeWritten += bytes.length
      this.port.offer(bytes)
      this.port.flush()
      return Effect.void
    })
  }

  /** What came after the handshake's last message. */
  leftover(): ReadonlyArray<Uint8Array> {
    return this.chunks
  }
}
