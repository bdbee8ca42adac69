/** What a `CreditPort` posts its messages over: a `MessagePort`, for example. */

/**
 * A message: text is about the stream, a buffer is a piece of it. A posted buffer belongs to the carrier, which may
 * detach it.
 */
export type Posted = string | ArrayBuffer

/** Hears what arrives. */
export interface Hearer {
  /** A message, which may be anything: a hostile peer has posted it. */
  readonly onMessage: (message: unknown) => void
  /** A message has arrived that the platform can't read, so it is lost. */
  readonly onUnreadable: () => void
  /** The other end is gone. Nothing arrives any more. Not every platform tells. */
  readonly onClosed: () => void
}

/** Carries messages in order, whole, and without loss. It has no bound: the credit is one. */
export interface Carrier {
  /** The longest buffer that may be posted, in bytes. */
  readonly maxBytes: number
  /** Sets the hearer, in place of the one before. Messages wait for the first one. */
  readonly setHearer: (hearer: Hearer) => void
  /** Posts a message. It may throw, and does nothing after `close`. */
  readonly post: (message: Posted) => void
  /** Closes at once. What was posted still arrives at the other end, and this end hears nothing any more. */
  readonly close: () => void
}
