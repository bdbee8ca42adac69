/**
 * A codec: what is left of a transform once its handshake is over. Synchronous functions on bytes, one set for each
 * connection and direction, driven by the port that `Transform.fromCodec` puts over the one below.
 *
 * The stream is cut into frames: a head, from which the body's length is known, and the body. Either may be sealed.
 */
import { FrameOpener } from "./internal/frameOpener.ts"

/** Seals what is written into frames: `head` bytes, then the body in place of its plaintext, then `tail` bytes. */
export interface Sealer {
  readonly head: number
  readonly tail: number
  /** The longest plaintext of one frame; with head and tail at most 65,560 bytes. */
  readonly maxBody: number
  /** Length of the sealed end. */
  readonly endLength: number
  /** Whether no more may be sealed, because the key is used up: asked before each frame and each end. By default never. */
  readonly spent?: boolean
  /** Seals the frame at `stage[offset]`, whose plaintext of `length` bytes lies at `stage[offset + head]`. */
  readonly seal: (stage: Uint8Array, offset: number, length: number) => void
  /** Writes the authenticated end at `stage[offset]`. */
  readonly sealEnd: (stage: Uint8Array, offset: number) => void
}

/** `end`: the authenticated end, and what follows it is ignored. The others fail the connection. */
export type Verdict = "end" | "tampered" | "violation"

/** Opens whole frames; `opener` finds them in what arrives. */
export interface Frames {
  /** Length of a head. */
  readonly head: number
  /** Opens a head: the length of the body that follows, which may be 0, or a verdict. The bytes may be written to. */
  readonly openHead: (sealed: Uint8Array) => number | Verdict
  /**
   * Opens a body into `plain`, which is as long and may be the same memory, or overlap it. Answers the plaintext's length; `undefined` when the body is
   * tampered with.
   */
  readonly openBody: (sealed: Uint8Array, plain: Uint8Array) => number | undefined
  /**
   * Opens a large body into memory that its reader may keep. `undefined` when it is tampered with. For who has a faster way when it need
   * not open into a given place; by default `openBody` opens all.
   */
  readonly openApart?: (sealed: Uint8Array) => Uint8Array | undefined
}

/** Where plaintext goes. */
export interface Room {
  /** Frames that lie whole in the input are opened where they lie. Any other plaintext is in memory that was taken. */
  readonly inPlace: boolean
  readonly take: (bytes: number) => Uint8Array
}

/** Opens what arrives, however it is cut. */
export interface Opener {
  /**
   * Opens all whole frames. By default in place: `input` is the opener's and later the reader's. Plaintext is appended to `out`, in
   * as few pieces as can be. What is left of an unfinished frame is copied, and kept until the next call.
   */
  readonly open: (input: Uint8Array, out: Array<Uint8Array>, room?: Room) => "more" | Verdict
}

export interface Codec {
  readonly sealer: Sealer
  readonly opener: Opener
  /** Overwrites the keys. Nothing is sealed or opened afterwards. */
  readonly wipe: () => void
}

/** The opener of frames. */
export const opener = (frames: Frames): Opener => new FrameOpener(frames)
