/**
 * A codec: what is left of a transform once its handshake is over. Synchronous functions on bytes, one set for each
 * connection and direction, driven by a port that stands on the one below.
 *
 * The stream is cut into frames: a head, from which the body's length is known, and the body. Either may be sealed.
 */
import { FrameOpener, type Frames, type Opener } from "./codec/frames.ts"
import { type Codec, CodecPort } from "./codec/port.ts"
import { RestPort } from "./codec/rest.ts"
import { PortWire } from "./codec/wire.ts"
import type { Link } from "./Link.ts"
import type { Port } from "./Port.ts"

export type { Frames, Opener, Verdict } from "./codec/frames.ts"
export type { Codec, Sealer } from "./codec/port.ts"
export type { Wire } from "./codec/wire.ts"
export type { Room, Rooms } from "./Port.ts"

/** The opener of frames. */
export const opener = (frames: Frames): Opener => new FrameOpener(frames)

/** What a handshake talks over: reads of exact length over the topmost port of a link. */
export const wire = (link: Link): PortWire => new PortWire(link)

/**
 * The port that follows a handshake over `wire`. What the handshake has not read is the codec's; without a codec, what
 * follows is handed on as it is.
 */
export const port = (link: Link, codec: Codec | undefined, rest: ReadonlyArray<Uint8Array>): Port => {
  if (codec !== undefined) return new CodecPort(link.port, codec, rest)
  return rest.length === 0 ? link.port : new RestPort(link.port, rest)
}
