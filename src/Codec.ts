/**
 * A codec: what is left of a transform once its handshake is over. Synchronous functions on bytes, one set for each
 * connection, driven by the port that `Transform.fromCodec` puts over the one below.
 */

/** Seals what is written into frames: `head` bytes, then the body in place of its plaintext, then `tail` bytes. */
export interface Sealer {
  readonly head: number
  readonly tail: number
  /** The longest body of one frame; with head and tail at most 65,560 bytes. */
  readonly maxBody: number
  /** Length of the sealed end. */
  readonly endLength: number
  /** Seals the frame at `stage[offset]`, whose plaintext of `length` bytes lies at `stage[offset + head]`. */
  readonly seal: (stage: Uint8Array, offset: number, length: number) => void
  /** Writes the authenticated end at `stage[offset]`. */
  readonly sealEnd: (stage: Uint8Array, offset: number) => void
}

/** `more`: all went well so far. `end`: the authenticated end, and what follows it is ignored. */
export type Opened = "more" | "end" | "tampered" | "violation"

/** Opens what arrives, however it is cut. */
export interface Opener {
  /**
   * Opens all whole frames, in place: `input` is the opener's and later the reader's. Plaintext is appended to `out`, in as
   * few pieces as can be. What is left of an unfinished frame is kept until the next call.
   */
  readonly open: (input: Uint8Array, out: Array<Uint8Array>) => Opened
}

export interface Codec {
  readonly sealer: Sealer
  readonly opener: Opener
  /** Overwrites the keys. Nothing is sealed or opened afterwards. */
  readonly wipe: () => void
}
