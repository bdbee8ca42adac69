/** What a handshake does with a port: reads of exact length and small writes. What it doesn't read stays here. */
import * as Effect from "effect/Effect"
import { type ConnectionReason, type PortFailure, Truncated } from "../ConnectionError.ts"
import { maxFruitless } from "../fruitless.ts"
import type { Leaving, Link } from "../Link.ts"
import type { Port, PortListener } from "../Port.ts"

/**
 * What a handshake talks over.
 *
 * @category models
 * @since 0.1.0
 */
export interface Wire {
  /** Exactly `length` bytes. An end before them fails with `Truncated`. */
  readonly read: (length: number) => Effect.Effect<Uint8Array, ConnectionReason>
  /** Sends `bytes`, which belong to the wire from now on. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, ConnectionReason>
}

/** A read that waits. */
interface Request {
  readonly length: number
  readonly resume: (outcome: Effect.Effect<Uint8Array, ConnectionReason>) => void
}

/** A failure as a handshake gets it. */
const failing = (failure: PortFailure): Effect.Effect<never, ConnectionReason> =>
  failure._tag === "Defect" ? Effect.die(failure.cause) : Effect.fail(failure)

export class PortWire implements Wire, PortListener {
  private readonly port: Port
  private readonly leaving: Leaving
  private chunks: Array<Uint8Array> = []
  private have = 0
  private request: Request | undefined
  /** The port is being looked at, and may call back. */
  private looking = false
  /** It has called back: look again. */
  private again = false

  constructor({ leaving, port }: Link) {
    this.port = port
    this.leaving = leaving
    port.listen(this)
  }

  readable(): void {
    this.advance()
  }

  drained(): void {
    if (this.port.failure !== undefined) this.advance()
  }

  /** Registers, then looks, in one synchronous step, so that no notification can come in between. */
  read(length: number): Effect.Effect<Uint8Array, ConnectionReason> {
    return Effect.callback((resume) => {
      const request: Request = { length, resume }
      this.request = request
      this.advance()
      return Effect.sync(() => {
        if (this.request === request) this.request = undefined
      })
    })
  }

  /** Serves the read that waits, as soon as there is enough for it. It is resumed nowhere else. */
  private advance(): void {
    this.again = true
    if (this.looking) return
    let fruitless = 0
    while (this.again && this.request !== undefined) {
      if (fruitless === maxFruitless) {
        setTimeout(() => this.advance(), 0)
        return
      }
      const { length, resume } = this.request
      const outcome = this.look(length)
      if (outcome === undefined) {
        fruitless++
        continue
      }
      fruitless = 0
      this.request = undefined
      resume(outcome)
    }
  }

  private look(length: number): Effect.Effect<Uint8Array, ConnectionReason> | undefined {
    this.looking = true
    this.again = false
    try {
      return this.tryRead(length)
    } catch (cause) {
      // The code of a port threw: the handshake dies of it.
      return Effect.die(cause)
    } finally {
      this.looking = false
    }
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
      this.leaving.onAnswer?.()
      this.leaving.onAnswer = undefined
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
