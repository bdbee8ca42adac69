/** What a stack has to do with its user: a connection's reader and its writer, and how the connection went. */
import type { PortFailure } from "../ConnectionError.ts"
import type { Tag } from "./parting.ts"

/** How a connection went; final when its scope is closed. */
export interface Account {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly tag: Tag
}

/** What one direction of an open connection owes to the one who leaves it. */
interface Direction {
  /** Bytes that its user has read, or has written. */
  readonly bytes: number
  /** Nothing of this direction is still to come. */
  readonly finished: boolean
  /** Looks at the port, and serves whoever waits for it. */
  readonly advance: () => void
  /** From now on everything that is asked fails so, and so does everything that waits. */
  readonly shut: (failure: PortFailure) => void
}

export interface Reading extends Direction {
  /** `last` is how the connection went, when its stack goes on without it. */
  readonly shut: (failure: PortFailure, last?: Account) => void
  /** Takes what has arrived by now out of the port, to be read later. */
  readonly hold: () => void
  readonly drain: () => void
}

export interface Writing extends Direction {
  /** A part of a write was accepted, and the rest was not. */
  readonly torn: boolean
  /** Writes wait for the port. */
  readonly waits: boolean
}
