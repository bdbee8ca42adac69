/**
 * A port: the synchronous side of a byte stream. Transports make one from a socket, and codecs make one over another
 * port. A `Connection` gives the topmost port to its user as effects.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { PortFailure } from "./ConnectionError.ts"

/**
 * One or more pieces of the byte stream, in order; their boundaries mean nothing.
 *
 * @category models
 * @since 0.1.0
 */
export type Chunks = NonEmptyReadonlyArray<Uint8Array>

/**
 * Receives a port's notifications. Each says only that something may have changed, so look again. A port may notify too
 * often, also from within `take`, `offer`, `flush` and `end`, but never misses a change.
 *
 * @category models
 * @since 0.1.0
 */
export interface PortListener {
  /** There is something to take, or an end, or a failure. */
  readonly readable: () => void
  /**
   * Everything offered has left user space (`pending` is 0) or never will (`failure` is set), or the port is no longer
   * full.
   */
  readonly drained: () => void
}

/**
 * Where a codec puts plaintext.
 *
 * @category models
 * @since 0.1.0
 */
export interface Room {
  /**
   * Whether frames that lie whole in the input are opened in place. All other plaintext goes into memory from `take`.
   */
  readonly inPlace: boolean
  /** Allocates memory of this many bytes for plaintext. Its first content may be anything. */
  readonly take: (bytes: number) => Uint8Array
  /** Called with the size of memory that the codec has allocated by itself for the reader to keep. */
  readonly made?: (bytes: number) => void
}

/**
 * The rooms for plaintext that its reader keeps: `owned` if the input is the reader's too, `fresh` if it is only lent.
 *
 * @category models
 * @since 0.1.0
 */
export interface Rooms {
  readonly owned: Room
  readonly fresh: Room
}

/**
 * The contract for authors of transports. No member throws, blocks or runs a fiber.
 *
 * Ownership: bytes from `take` belong to the caller, which may write into them. Bytes given to `offer` belong to the
 * caller again at once when it returns `true`, and otherwise as soon as `pending` is 0.
 *
 * @category models
 * @since 0.1.0
 */
export interface Port {
  /** Whether each side can go on writing after the other has ended. */
  readonly halfClose: boolean
  /**
   * The port that this one stands on. When a stack is left, its ports are ended, drained and closed one by one, from
   * the top down.
   */
  readonly below?: Port
  /** Sets the listener, in place of the one before. Reading begins with the first one. */
  readonly listen: (listener: PortListener) => void
  /** Takes all that has arrived. `undefined`: there is nothing. Reading pauses while much is untaken. */
  readonly take: () => Chunks | undefined
  /**
   * To be called from within `readable`. Lends what has arrived just now, where it lies, if nothing came before it. The
   * caller may read it and write into it until `readable` returns. `undefined`: take it instead. A port that never
   * lends has no `borrow`.
   */
  readonly borrow?: () => Chunks | undefined
  /** Where a codec over this port puts the plaintext. By default it allocates with `new Uint8Array`. */
  readonly rooms?: Rooms
  /** Whether the peer has ended, and everything before that was taken. */
  readonly ended: boolean
  /**
   * Set once, when the port can't be used any more. What had arrived can still be taken. There are two exceptions: a
   * codec that failed by itself, and one that was destroyed, because its keys are gone.
   */
  readonly failure: PortFailure | undefined
  /** Accepts all of the bytes, even when the port is full. Returns whether they were copied. */
  readonly offer: (bytes: Uint8Array) => boolean
  /**
   * Takes a whole chunk that the caller gives away, instead of `offer`. Its memory may be detached. `false`: it was not
   * taken, so offer it. A port that always copies has no `give`.
   */
  readonly give?: (bytes: Uint8Array) => boolean
  /** Whether `offer` always copies. If so, borrowed bytes may be offered. By default `false`. */
  readonly copies?: boolean
  /** How many accepted bytes the kernel has not got yet. */
  readonly pending: number
  /** Whether enough is pending. If so, offer no more until `drained`. */
  readonly full: boolean
  /** Hands what is staged to the next port at once. */
  readonly flush: () => void
  /** Ends this side's direction (half close): nothing more will be offered. A second call does nothing. */
  readonly end: () => void
  /**
   * Whether closing while the peer still sends discards data that the peer has not read yet. TCP does: it answers with
   * a reset. By default `false`.
   */
  readonly resets?: boolean
  /**
   * Releases what this port holds. Called when everything was flushed. The port below is closed by a call of its own.
   */
  readonly close: () => void
  /** Destroys this port and those below at once. */
  readonly destroy: () => void
  /** Offers between `cork` and `uncork` may be held back, to go as one write. */
  readonly cork?: () => void
  readonly uncork?: () => void
}
