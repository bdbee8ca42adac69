/**
 * How many dials may open sockets. A dial waits for a place while as many connect as may at once, or while the process
 * has no file descriptor for another socket: a process that runs out of them can't even read a file.
 */
import * as Effect from "effect/Effect"
import type { Capacity } from "./Capacity.ts"

/**
 * How many sockets dials may have beyond the room for connections, so that a listener that is full stops no dial. They
 * are of the 64 file descriptors that connections leave to everything else.
 */
const beyondRoom = 16

/** The place of one dial. */
export interface DialPlace {
  /** Takes the place now. `false`: there is none, or others have waited longer. */
  readonly take: () => boolean
  /** Takes the place when its turn has come. */
  readonly taken: Effect.Effect<void>
  /** It connects no more: somebody else may. It stays a connection. */
  readonly connected: () => void
  /** Gives everything back; after that it can't be taken any more. A second time does nothing. */
  readonly leave: () => void
}

export interface Options {
  /** How many connect at once. */
  readonly most: number
  /** How many connections the process has file descriptors for. */
  readonly room: number
}

const nothing = () => {}

/** Of one Multiserver. */
export class DialPlaces {
  private readonly capacity: Capacity
  private readonly most: number
  private readonly room: number
  private readonly waiting = new Set<() => void>()
  private connecting = 0

  constructor(capacity: Capacity, { most, room }: Options) {
    this.capacity = capacity
    this.most = most
    this.room = room + beyondRoom
    capacity.onGiven = () => this.advance()
  }

  private get isFree(): boolean {
    return this.connecting < this.most && this.capacity.count < this.room
  }

  private advance(): void {
    for (const begin of this.waiting) {
      if (!this.isFree) return
      this.waiting.delete(begin)
      begin()
    }
  }

  /** A place for a dial. One of a transport that opens no socket of its own is there at once. */
  place(opensSocket: boolean): DialPlace {
    const lease = this.capacity.lease()
    let isConnecting = false
    const begin = () => {
      isConnecting = opensSocket
      if (opensSocket) this.connecting++
      lease.begin()
    }
    const connected = () => {
      if (!isConnecting) return
      isConnecting = false
      this.connecting--
      this.advance()
    }
    return {
      take: () => {
        if (opensSocket && !(this.waiting.size === 0 && this.isFree)) return false
        begin()
        return true
      },
      taken: Effect.callback((resume) => {
        const granted = () => {
          begin()
          resume(Effect.void)
        }
        this.waiting.add(granted)
        this.advance()
        return Effect.sync(() => void this.waiting.delete(granted))
      }),
      connected,
      leave: () => {
        connected()
        lease.end()
      }
    }
  }

  /** Room for one more socket of a dial that has its place. The answer gives it back. */
  readonly spare = (): (() => void) | undefined => {
    if (this.capacity.count >= this.room) return undefined
    const { begin, end } = this.capacity.lease()
    begin()
    return end
  }

  /** For a transport that opens no sockets: nothing is counted. */
  static readonly uncounted = (): (() => void) => nothing
}
