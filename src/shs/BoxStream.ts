/**
 * The box stream that follows an shs handshake (docs/wire.md). Each direction has its own key and nonce counter.
 *
 * A packet is a sealed header (34 bytes: the body's length and MAC, boxed), then the encrypted body. The goodbye is a
 * sealed header of zeros.
 */
import * as Codec from "../Codec.ts"
import type { Primitives } from "../crypto/Primitives.ts"

const macLength = 16
/** Length of the body as u16be, then its MAC. */
const plainHeaderLength = 2 + macLength
export const headerLength = plainHeaderLength + macLength
/** The longest body that is written, and by default the longest that is read. */
export const maxBody = 4096

/** Key and first nonce of one direction: 32 and 24 bytes. */
export interface Direction {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/** The bytes of a direction's state: its key and nonce, and in the reading direction a plain header too. */
const sealerLength = 32 + 24
const framesLength = sealerLength + plainHeaderLength

/**
 * Copies a direction into `room` at `at`. The parts share one buffer, because a buffer costs many times what these few
 * bytes do, and a server has thousands of connections.
 */
const stateAt = (room: Uint8Array, at: number, { key, nonce }: Direction): Direction => {
  room.set(key, at)
  room.set(nonce, at + 32)
  return { key: room.subarray(at, at + 32), nonce: room.subarray(at + 32, at + sealerLength) }
}

/** Scratch that is needed only while one packet is sealed or opened, so all connections share it. */
const scratchNonce = new Uint8Array(24)
const scratchHeader = new Uint8Array(plainHeaderLength)
const scratchMac = scratchHeader.subarray(2)

/** The nonce is one big-endian number; it wraps. */
const increment = (nonce: Uint8Array): void => {
  for (let i = nonce.length - 1; i >= 0; i--) {
    const next = ((nonce[i] as number) + 1) & 0xff
    nonce[i] = next
    if (next !== 0) return
  }
}

export class BoxSealer implements Codec.Sealer {
  readonly head = headerLength
  readonly tail = 0
  readonly maxBody = maxBody
  readonly endLength = headerLength
  private readonly primitives: Primitives["Service"]
  private readonly key: Uint8Array
  private readonly nonce: Uint8Array

  /** Keeps its state in `room`, from `at` on. */
  constructor(primitives: Primitives["Service"], direction: Direction, room = new Uint8Array(sealerLength), at = 0) {
    const { key, nonce } = stateAt(room, at, direction)
    this.primitives = primitives
    this.key = key
    this.nonce = nonce
  }

  seal(stage: Uint8Array, offset: number, length: number): void {
    const { key, nonce, primitives } = this
    scratchNonce.set(nonce)
    increment(nonce)
    const body = stage.subarray(offset + headerLength, offset + headerLength + length)
    primitives.boxSealDetached(body, scratchMac, body, nonce, key)
    increment(nonce)
    scratchHeader[0] = length >>> 8
    scratchHeader[1] = length & 0xff
    primitives.boxSeal(stage.subarray(offset, offset + headerLength), scratchHeader, scratchNonce, key)
  }

  sealEnd(stage: Uint8Array, offset: number): void {
    scratchHeader.fill(0)
    this.primitives.boxSeal(stage.subarray(offset, offset + headerLength), scratchHeader, this.nonce, this.key)
  }

  wipe(): void {
    this.primitives.wipe(this.key)
  }
}

/** The reading side, packet by packet. */
class BoxFrames implements Codec.Frames {
  readonly head = headerLength
  private readonly primitives: Primitives["Service"]
  private readonly key: Uint8Array
  private readonly nonce: Uint8Array
  private readonly longest: number
  private readonly header: Uint8Array

  /** Keeps its state at the start of `room`. */
  constructor(
    primitives: Primitives["Service"],
    direction: Direction,
    longest: number,
    room = new Uint8Array(framesLength)
  ) {
    const { key, nonce } = stateAt(room, 0, direction)
    this.primitives = primitives
    this.key = key
    this.nonce = nonce
    this.header = room.subarray(sealerLength, framesLength)
    this.longest = longest
  }

  openHead(sealed: Uint8Array): number | Codec.Verdict {
    const { header } = this
    if (!this.primitives.boxOpen(header, sealed, this.nonce, this.key)) return "tampered"
    increment(this.nonce)
    const length = ((header[0] as number) << 8) | (header[1] as number)
    // The header of an authentic packet with an empty body still has a MAC. Only the goodbye is all zeros.
    if (length === 0 && header.every((byte) => byte === 0)) return "end"
    return length > this.longest ? "violation" : length
  }

  openBody(sealed: Uint8Array, plain: Uint8Array): number | undefined {
    scratchHeader.set(this.header)
    if (!this.primitives.boxOpenDetached(plain, sealed, scratchMac, this.nonce, this.key)) return undefined
    increment(this.nonce)
    return sealed.length
  }

  wipe(): void {
    this.primitives.wipe(this.key)
  }
}

/** Opens one direction. `longest` is the longest body that is accepted, 4096 to 65535 bytes. */
export const boxOpener = (
  primitives: Primitives["Service"],
  direction: Direction,
  longest: number = maxBody
): Codec.Opener => Codec.opener(new BoxFrames(primitives, direction, longest))

class BoxCodec implements Codec.Codec {
  readonly sealer: BoxSealer
  readonly opener: Codec.Opener
  private readonly frames: BoxFrames

  constructor(primitives: Primitives["Service"], { decrypt, encrypt }: Directions, longest: number) {
    const room = new Uint8Array(framesLength + sealerLength)
    this.sealer = new BoxSealer(primitives, encrypt, room, framesLength)
    this.frames = new BoxFrames(primitives, decrypt, longest, room)
    this.opener = Codec.opener(this.frames)
    primitives.wipe(encrypt.key)
    primitives.wipe(decrypt.key)
  }

  wipe(): void {
    this.sealer.wipe()
    this.frames.wipe()
  }
}

interface Directions {
  readonly encrypt: Direction
  readonly decrypt: Direction
}

/** The codec of both directions. It copies the keys and wipes the originals. `longest`: see `boxOpener`. */
export const codec = (primitives: Primitives["Service"], keys: Directions, longest: number = maxBody): Codec.Codec =>
  new BoxCodec(primitives, keys, longest)
