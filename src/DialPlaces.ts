/**
 * Limits how many dials open sockets at once. A dial waits for a place while as many others connect as are allowed, or
 * while the process has no file descriptor for another socket: a process that runs out of them can't even read a file.
 * A dial has no place while its host name is looked up.
 */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import type { Capacity } from "./Capacity.ts"

/**
 * How many sockets dials may have beyond the room for connections, so that a full listener blocks no dial. They come
 * out of the 64 file descriptors that connections leave to everything else.
 */
const beyondRoom = 16

export interface Options {
  /** How many dials may connect at once. */
  readonly most: number
  /** How many connections the process has file descriptors for. */
  readonly room: number
}

/** The places for the dials of one Multiserver. */
export class DialPlaces {
  /** Limits how many dials wait for a look-up at once. They don't count among the dials that connect. */
  readonly lookups: Semaphore.Semaphore
  private readonly capacity: Capacity
  private readonly most: number
  private readonly room: number
  private readonly waiting = new Set<() => void>()
  private connecting = 0

  constructor(capacity: Capacity, { most, room }: Options) {
    this.capacity = capacity
    this.most = most
    this.lookups = Semaphore.makeUnsafe(most)
    this.room = room + beyondRoom
    capacity.onGiven = () => this.advance()
  }

  /** Whether one more dial may connect. */
  get isFree(): boolean {
    return this.connecting < this.most && this.capacity.count < this.room
  }

  /** Whether a new dial may connect now. Dials that wait already go first. */
  get isFreeForNewcomers(): boolean {
    return this.waiting.size === 0 && this.isFree
  }

  private advance(): void {
    for (const begin of this.waiting) {
      if (!this.isFree) return
      this.waiting.delete(begin)
      begin()
    }
  }

  /** Runs `begin` when its turn has come. The returned function cancels that. */
  wait(begin: () => void): () => void {
    this.waiting.add(begin)
    this.advance()
    return () => void this.waiting.delete(begin)
  }

  enter(opensSocket: boolean): void {
    if (opensSocket) this.connecting++
    this.capacity.take()
  }

  connected(): void {
    this.connecting--
    this.advance()
  }

  exit(): void {
    this.capacity.give()
  }

  /** As `exit`, for a dial that gives its place back before it has connected. */
  giveBack(opensSocket: boolean): void {
    this.capacity.give()
    if (opensSocket) this.connected()
  }

  /** The place of one dial. If its transport opens no socket of its own, the dial never waits for it. */
  place(opensSocket: boolean): DialPlace {
    return new DialPlace(this, opensSocket)
  }

  /** Room for one more socket of a dial that has its place; `undefined` if there is none. The result gives it back. */
  readonly spare = (): (() => void) | undefined => {
    if (this.capacity.count >= this.room) return undefined
    let isTaken = true
    this.capacity.take()
    return () => {
      if (isTaken) this.capacity.give()
      isTaken = false
    }
  }
}

/** The `spare` of a transport that opens no sockets: nothing is counted. */
export const uncounted = (): (() => void) => nothing

const nothing = (): void => {}

/** The place of one dial. It stays small, because each connection that was dialed keeps its place until it ends. */
export class DialPlace {
  private readonly places: DialPlaces
  private readonly opensSocket: boolean
  private state: "before" | "connecting" | "open" | "left" = "before"

  constructor(places: DialPlaces, opensSocket: boolean) {
    this.places = places
    this.opensSocket = opensSocket
  }

  /** Takes the place now. `false`: there is none, or others have waited longer. */
  take(): boolean {
    if (this.opensSocket && !this.places.isFreeForNewcomers) return false
    this.begin()
    return true
  }

  /** Takes the place when its turn has come. */
  get taken(): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const takeBack = this.places.wait(() => {
        this.begin()
        resume(Effect.void)
      })
      return Effect.sync(takeBack)
    })
  }

  /** Gives the place back before the dial has connected. It can be taken again later. */
  giveBack(): void {
    if (this.state !== "connecting") return
    this.state = "before"
    this.places.giveBack(this.opensSocket)
  }

  private begin(): void {
    if (this.state !== "before") return
    this.state = "connecting"
    this.places.enter(this.opensSocket)
  }

  /** The dial no longer connects, so another one may. It still counts as a connection, until `leave`. */
  connected(): void {
    if (this.state !== "connecting") return
    this.state = "open"
    if (this.opensSocket) this.places.connected()
  }

  /** Gives everything back; after that it can't be taken any more. A second time does nothing. */
  leave(): void {
    this.connected()
    if (this.state === "open") this.places.exit()
    this.state = "left"
  }
}
