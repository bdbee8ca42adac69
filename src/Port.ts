/**
 * A port: the synchronous side of a byte stream. Transports make one from a socket, codecs make one over another, and
 * at the top a `Connection` gives it to the user as effects.
 */
import type { NonEmptyReadonlyArray } from "effect/Array"
import type { PortFailure } from "./ConnectionError.ts"

/** One or more pieces of the byte stream, in order; their boundaries mean nothing. */
export type Chunks = NonEmptyReadonlyArray<Uint8Array>

/**
 * Receives a port's notifications. Each says only that something may have changed, so look again. A port may notify too
 * often, also from within `take`, `offer`, `flush` and `end`, but never misses a change.
 */
export interface PortListener {
  /** There is something to take, or an end, or a failure. */
  readonly readable: () => void
  /**
   * Everything offered has left user space (`pending` is 0) or never will (`failure` is set), or the port is full no
   * more.
   */
  readonly drained: () => void
}

/** Where plaintext goes. */
export interface Room {
  /** Frames that lie whole in the input are opened where they lie. Any other plaintext is in memory that was taken. */
  readonly inPlace: boolean
  /** Memory for so many bytes, which the reader keeps. What is in it at first may be anything. */
  readonly take: (bytes: number) => Uint8Array
  /** Hears of memory that the codec allocated by itself for the reader to keep. */
  readonly made?: (bytes: number) => void
}

/** The rooms for plaintext that its reader keeps: where the input is the reader's too, and where it is only lent. */
export interface Rooms {
  readonly owned: Room
  readonly fresh: Room
}

/**
 * For those who write transports. Nothing here throws, blocks or runs a fiber.
 *
 * Ownership: bytes from `take` are the taker's, which may write into them. Bytes in `offer` are the offerer's again at
 * once when it answers `true`, and otherwise as soon as `pending` is 0.
 */
export interface Port {
  /** Whether the peer can go on after this side has ended, and this side after the peer has. */
  readonly halfClose: boolean
  /** The port that this one stands on. Leaving walks down from port to port: each is ended, drained and closed. */
  readonly below?: Port
  /** Sets who hears from now on. Reading begins with the first one. */
  readonly listen: (listener: PortListener) => void
  /** All that has arrived and wasn't taken; `undefined` when there is nothing. Reading pauses while much is untaken. */
  readonly take: () => Chunks | undefined
  /**
   * While the listener hears `readable`: what has arrived just now, where it lies, if nothing came before it. It is the
   * borrower's, to write into too, until `readable` returns. Otherwise `undefined`, and so from a port that does not
   * lend.
   */
  readonly borrow?: () => Chunks | undefined
  /** Allocates memory for a codec that opens borrowed bytes. By default `new Uint8Array`. */
  readonly rooms?: Rooms
  /** The peer has ended, and everything before that was taken. */
  readonly ended: boolean
  /**
   * Set once, when nothing goes any more. What had arrived can still be taken. There are two exceptions: a codec that
   * failed by itself, and one that was destroyed, because its keys are gone.
   */
  readonly failure: PortFailure | undefined
  /** Accepts bytes, always all of them, whatever `full` says. Answers whether they were copied. */
  readonly offer: (bytes: Uint8Array) => boolean
  /** Whether `offer` always copies. If so, borrowed bytes may be offered. By default not. */
  readonly copies?: boolean
  /** Bytes accepted that the kernel has not got. */
  readonly pending: number
  /** Enough is pending: offer no more until `drained`. */
  readonly full: boolean
  /** Hands what is staged to the next port at once. */
  readonly flush: () => void
  /** Nothing more will be offered: half close. A second call does nothing. */
  readonly end: () => void
  /**
   * Whether closing while the peer still sends discards data that the peer has not read yet. TCP does: it answers with
   * a reset. By default not.
   */
  readonly resets?: boolean
  /** All was flushed: lets go of what this port holds. The port below has its own close. */
  readonly close: () => void
  /** Ends at once, with everything below. */
  readonly destroy: () => void
  /** Between these, offers may be held back to go as one write. */
  readonly cork?: () => void
  readonly uncork?: () => void
}
