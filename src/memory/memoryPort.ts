/** Two connected ports that behave as sockets do: they are bounded, and each is notified on a later turn. */
import { isArrayNonEmpty } from "effect/Array"
import { type ConnectionReason, locallyClosed, Reset } from "../ConnectionError.ts"
import type { Chunks, Port, PortListener } from "../Port.ts"

/** A port is full when this many bytes wait at the other end. */
const highWater = 128 * 1024

/**
 * How many notifications run as microtasks before the event loop gets a turn. Without this bound, two ends that answer
 * each other would block the process for ever.
 */
const maxTurns = 256

/** Runs the notifications of the ports of one layer, which share the bound. */
export class Turns {
  private taken = 0

  later(run: () => void): void {
    if (this.taken++ === 0) {
      setTimeout(() => {
        this.taken = 0
      }, 0)
    }
    if (this.taken <= maxTurns) queueMicrotask(run)
    else setTimeout(run, 0)
  }
}

class MemoryPort implements Port {
  readonly halfClose = true
  readonly copies = true
  failure: ConnectionReason | undefined
  /** The other end; set by `memoryPair` before anything is done with either. */
  other: MemoryPort | undefined
  private listener: PortListener | undefined
  private incoming: Array<Uint8Array> = []
  private incomingBytes = 0
  private inputEnded = false
  private endSaid = false
  /** The other end has closed, after it ended its direction. */
  private isAlone = false
  private scheduled = false
  private readonly turns: Turns

  constructor(turns: Turns) {
    this.turns = turns
  }

  listen(listener: PortListener): void {
    this.listener = listener
    this.notify()
  }

  /** Notifies the listener on a later turn, so that neither side runs inside the other's call. */
  private notify(): void {
    if (this.scheduled) return
    this.scheduled = true
    this.turns.later(() => {
      this.scheduled = false
      this.listener?.readable()
      if (!this.full) this.listener?.drained()
    })
  }

  take(): Chunks | undefined {
    const { incoming } = this
    if (!isArrayNonEmpty(incoming)) return undefined
    this.incoming = []
    this.incomingBytes = 0
    this.other?.notify()
    return incoming
  }

  get ended(): boolean {
    return this.inputEnded && this.incoming.length === 0
  }

  offer(bytes: Uint8Array): boolean {
    if (this.failure !== undefined || this.endSaid) return true
    if (this.isAlone) {
      // As a kernel does: it accepts the bytes, and reports a moment later that nobody is there.
      this.turns.later(() => this.refused())
      return true
    }
    // Not `slice`: on a Node `Buffer` it makes no copy.
    this.other?.receive(new Uint8Array(bytes))
    return true
  }

  private refused(): void {
    this.failure ??= new Reset({ code: "EPIPE" })
    this.listener?.readable()
    this.listener?.drained()
  }

  private receive(bytes: Uint8Array): void {
    if (this.failure !== undefined) return
    this.incoming.push(bytes)
    this.incomingBytes += bytes.length
    this.notify()
  }

  /** Always 0, because offered bytes are at the other end at once. */
  get pending(): number {
    return 0
  }

  get full(): boolean {
    return this.failure === undefined && !this.isAlone && (this.other?.incomingBytes ?? 0) >= highWater
  }

  flush(): void {}

  end(): void {
    if (this.endSaid || this.failure !== undefined) return
    this.endSaid = true
    this.other?.receiveEnd()
  }

  private receiveEnd(): void {
    this.inputEnded = true
    this.notify()
  }

  close(): void {
    this.end()
    this.failure ??= locallyClosed
    this.other?.peerGone(true)
  }

  destroy(): void {
    if (this.failure !== undefined) return
    this.failure = locallyClosed
    this.other?.peerGone(false)
  }

  /**
   * The other end has closed. As with a kernel, what had arrived can still be read. After a clean close only a later
   * write fails, with `EPIPE`; otherwise this end fails at once, with `ECONNRESET`.
   */
  private peerGone(clean: boolean): void {
    if (clean) this.isAlone = true
    else this.failure ??= new Reset({ code: "ECONNRESET" })
    this.notify()
  }
}

/** Two connected ports. */
export const memoryPair = (turns = new Turns()): readonly [Port, Port] => {
  const left = new MemoryPort(turns)
  const right = new MemoryPort(turns)
  left.other = right
  right.other = left
  return [left, right]
}
