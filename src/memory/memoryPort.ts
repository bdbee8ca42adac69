/** Two ports, each the other's end, with the manners of a socket: bounded, and heard on a later turn. */
import { isArrayNonEmpty } from "effect/Array"
import type { Chunks, Port, PortListener } from "../Connection.ts"
import { type ConnectionReason, locallyClosed, Reset } from "../ConnectionError.ts"

/** Full when this many bytes wait at the other end. */
const highWater = 128 * 1024

/** How many turns follow one another before the rest of the process has one: two ends that answer each other would go on for ever. */
const maxTurns = 256
let turns = 0

const later = (run: () => void): void => {
  if (turns++ === 0) setTimeout(() => (turns = 0), 0)
  if (turns <= maxTurns) queueMicrotask(run)
  else setTimeout(run, 0)
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
  private scheduled = false

  listen(listener: PortListener): void {
    this.listener = listener
    this.notify()
  }

  /** On a microtask, so that no side runs inside the other's call. */
  private notify(): void {
    if (this.scheduled) return
    this.scheduled = true
    later(() => {
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
    // Not `slice`, which of a Node `Buffer` is no copy.
    this.other?.receive(new Uint8Array(bytes))
    return true
  }

  private receive(bytes: Uint8Array): void {
    if (this.failure !== undefined) return
    this.incoming.push(bytes)
    this.incomingBytes += bytes.length
    this.notify()
  }

  /** What was offered is where the kernel would be: at the other end. */
  get pending(): number {
    return 0
  }

  get full(): boolean {
    return this.failure === undefined && this.other !== undefined && this.other.incomingBytes >= highWater
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

  /** As a kernel answers: who still writes to a closed end is told so, and what had arrived can be read. */
  private peerGone(clean: boolean): void {
    if (!clean || !this.endSaid) this.failure ??= new Reset({ code: clean ? "EPIPE" : "ECONNRESET" })
    this.notify()
  }
}

/** Two connected ports. */
export const memoryPair = (): readonly [Port, Port] => {
  const left = new MemoryPort()
  const right = new MemoryPort()
  left.other = right
  right.other = left
  return [left, right]
}
