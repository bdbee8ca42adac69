/** What a stack knows of its user: a connection's reader and its writer, and how the connection went. */
import type { PortFailure } from "../ConnectionError.ts"
import type { AccountTag } from "./parting.ts"

/**
 * How many bytes a connection carried, and how it went. Final when the connection's scope is closed.
 *
 * @category models
 * @since 0.1.0
 */
export interface Account {
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly tag: AccountTag
  /** Why it failed, where it did. Without it, a `TimedOut` did not get rid of its last bytes when it was closed. */
  readonly failure?: PortFailure
}

/** What `Leaving` needs of one direction of an open connection. */
interface Direction {
  /** How many bytes the user has read, or has written. */
  readonly bytes: number
  /** Whether nothing of this direction is still to come. */
  readonly finished: boolean
  /** Looks at the port, and serves the fibers that wait for it. */
  readonly advance: () => void
  /** From now on every operation fails with `failure`, and so do those that wait. */
  readonly shut: (failure: PortFailure) => void
}

export interface Reading extends Direction {
  /** `last` is how the connection went, if its stack goes on without it. */
  readonly shut: (failure: PortFailure, last?: Account) => void
  /** Takes what has arrived by now out of the port, to be read later. */
  readonly hold: () => void
  readonly drain: () => void
}

export interface Writing extends Direction {
  /** Whether a part of a write was accepted, and the rest was not. */
  readonly torn: boolean
  /** Whether writes wait for the port. */
  readonly waits: boolean
}
