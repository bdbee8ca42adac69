/**
 * A codec: the part of a transform that runs once its handshake is over. It consists of synchronous functions on bytes,
 * one set for each connection and direction. A port drives them, and stands on the port below.
 *
 * The stream is cut into frames. Each has a head, which tells the length of its body, and the body. Both may be
 * sealed.
 */
import { FrameOpener, type Frames, type Opener } from "./codec/frames.ts"
import { type Codec, CodecPort } from "./codec/port.ts"
import { RestPort } from "./codec/rest.ts"
import { PortWire, type Wire } from "./codec/wire.ts"
import type { Link } from "./Link.ts"
import type { Port } from "./Port.ts"

export type { Frames, Opener, Verdict } from "./codec/frames.ts"
export type { Codec, Sealer } from "./codec/port.ts"
export type { Wire } from "./codec/wire.ts"
export type { Room, Rooms } from "./Port.ts"

/**
 * Makes the opener that finds `frames` in a byte stream, however it is cut, and opens them.
 *
 * @category constructors
 * @since 0.1.0
 */
export const opener = (frames: Frames): Opener => new FrameOpener(frames)

/**
 * The wire of a handshake, and what it has left over.
 *
 * @category models
 * @since 0.1.0
 */
export interface HandshakeWire extends Wire {
  /** What has arrived and was not read, for `port`. The wire reads nothing more. */
  readonly leftover: () => ReadonlyArray<Uint8Array>
}

/**
 * Makes the wire of a handshake: reads of exact length, and writes, over the topmost port of a link.
 *
 * @category constructors
 * @since 0.1.0
 */
export const wire = (link: Link): HandshakeWire => new PortWire(link)

/**
 * Makes the port for what follows a handshake. `rest` is what its wire has received and the handshake has not read: it
 * comes first. Without a codec, bytes pass unchanged.
 *
 * @category constructors
 * @since 0.1.0
 */
export const port = (link: Link, codec: Codec | undefined, rest: ReadonlyArray<Uint8Array>): Port => {
  if (codec !== undefined) return new CodecPort(link.port, codec, rest)
  return rest.length === 0 ? link.port : new RestPort(link.port, rest)
}
