/**
 * The frames that follow a noise handshake (docs/noise.md). Each direction has its own key and nonces.
 *
 * A frame is the body's length, sealed (18 bytes), then the body, sealed. The goodbye is a sealed length of 0.
 */
import * as Codec from "../Codec.ts"
import type { NoisePrimitives } from "../crypto/Primitives.ts"
import { empty } from "../crypto/scratch.ts"

const tagLength = 16
export const headLength = 2 + tagLength
/** The longest body. With its tag it is as long as a Noise message may be. */
export const maxBody = 65_535 - tagLength
/** A direction changes its key after this many frames. */
export const framesPerKey = 65_536

/**
 * Key and next nonce of one direction: 32 and 12 bytes. The nonce is 4 zero bytes, then a little-endian counter of 64
 * bits.
 */
export interface Direction {
  readonly key: Uint8Array
  readonly nonce: Uint8Array
}

/** The bytes of a direction's state: its key and its nonce. */
export const stateLength = 32 + 12

/** 2^64 - 1, which Noise reserves for its Rekey. */
const rekeyNonce = new Uint8Array(12).fill(0xff, 4)
/** A frame takes two nonces. */
const noncesPerKey = 2 * framesPerKey

type LargeOpener = NonNullable<NoisePrimitives["Service"]["aeadLargeOpener"]>

/**
 * The cipher of one direction. It copies the key and the nonce into `room`, from `at` on. A rekey overwrites the key
 * there.
 */
class Cipher {
  private readonly primitives: NoisePrimitives["Service"]
  private readonly key: Uint8Array
  private readonly nonce: Uint8Array
  private readonly count: DataView
  /** Opens large bodies under the current key. Made when the first of them comes. */
  private large: ReturnType<LargeOpener> | undefined

  constructor(primitives: NoisePrimitives["Service"], { key, nonce }: Direction, room: Uint8Array, at: number) {
    room.set(key, at)
    room.set(nonce, at + 32)
    this.primitives = primitives
    this.key = room.subarray(at, at + 32)
    this.nonce = room.subarray(at + 32, at + stateLength)
    this.count = new DataView(room.buffer, room.byteOffset + at + 36, 8)
  }

  /** Whether too few nonces are left for another frame. One is kept for the goodbye. */
  get spent(): boolean {
    return this.count.getUint32(0, true) >= 0xffff_fffe && this.count.getUint32(4, true) === 0xffff_ffff
  }

  seal(sealed: Uint8Array, message: Uint8Array): void {
    this.primitives.aeadSeal(sealed, message, empty, this.nonce, this.key)
    this.advance()
  }

  open(message: Uint8Array, sealed: Uint8Array): boolean {
    const opened = this.primitives.aeadOpen(message, sealed, empty, this.nonce, this.key)
    if (opened) this.advance()
    return opened
  }

  openLarge(opener: LargeOpener, sealed: Uint8Array): Uint8Array | undefined {
    this.large ??= opener(this.key)
    const message = this.large(sealed, this.nonce)
    if (message !== undefined) this.advance()
    return message
  }

  wipe(): void {
    this.primitives.wipe(this.key)
    this.large = undefined
  }

  private advance(): void {
    const low = (this.count.getUint32(0, true) + 1) >>> 0
    this.count.setUint32(0, low, true)
    if (low === 0) this.count.setUint32(4, this.count.getUint32(4, true) + 1, true)
    if (low % noncesPerKey === 0) this.rekey()
  }

  /** Noise's Rekey. The nonce is not reset. */
  private rekey(): void {
    const next = new Uint8Array(this.key.length + tagLength)
    this.primitives.aeadSeal(next, new Uint8Array(this.key.length), empty, rekeyNonce, this.key)
    this.key.set(next.subarray(0, this.key.length))
    this.large = undefined
    this.primitives.wipe(next)
  }
}

/** The length of the current frame. It is needed only within one call, so all connections share it. */
const plainLength = new Uint8Array(2)

export class NoiseSealer implements Codec.Sealer {
  readonly head = headLength
  readonly tail = tagLength
  readonly maxBody = maxBody
  readonly endLength = headLength
  private readonly cipher: Cipher

  /** Keeps its state in `room`, from `at` on. */
  constructor(
    primitives: NoisePrimitives["Service"],
    direction: Direction,
    room: Uint8Array = new Uint8Array(stateLength),
    at = 0
  ) {
    this.cipher = new Cipher(primitives, direction, room, at)
  }

  get spent(): boolean {
    return this.cipher.spent
  }

  seal(stage: Uint8Array, offset: number, length: number): void {
    const body = offset + headLength
    // Sends zeros, so that no nonce is used twice and no plaintext goes out. The peer gets a frame that does not open.
    if (this.cipher.spent) return void stage.fill(0, offset, body + length + tagLength)
    this.sealHead(stage, offset, length)
    this.cipher.seal(stage.subarray(body, body + length + tagLength), stage.subarray(body, body + length))
  }

  sealEnd(stage: Uint8Array, offset: number): void {
    this.sealHead(stage, offset, 0)
  }

  wipe(): void {
    this.cipher.wipe()
  }

  private sealHead(stage: Uint8Array, offset: number, length: number): void {
    plainLength[0] = length >>> 8
    plainLength[1] = length & 0xff
    this.cipher.seal(stage.subarray(offset, offset + headLength), plainLength)
  }
}

/** The reading side, frame by frame. */
export class NoiseFrames implements Codec.Frames {
  readonly head = headLength
  readonly openApart?: (sealed: Uint8Array) => Uint8Array | undefined
  private readonly cipher: Cipher

  /** Keeps its state in `room`, from `at` on. */
  constructor(
    primitives: NoisePrimitives["Service"],
    direction: Direction,
    room: Uint8Array = new Uint8Array(stateLength),
    at = 0
  ) {
    const cipher = new Cipher(primitives, direction, room, at)
    this.cipher = cipher
    const { aeadLargeOpener: opener } = primitives
    if (opener !== undefined) this.openApart = (sealed) => cipher.openLarge(opener, sealed)
  }

  openHead(sealed: Uint8Array): number | Codec.Verdict {
    const { spent } = this.cipher
    if (!this.cipher.open(plainLength, sealed)) return "tampered"
    const length = ((plainLength[0] as number) << 8) | (plainLength[1] as number)
    if (length === 0) return "end"
    return length > maxBody || spent ? "violation" : length + tagLength
  }

  openBody(sealed: Uint8Array, plain: Uint8Array): number | undefined {
    const length = sealed.length - tagLength
    // The cipher opens in place or into other memory, but not into memory that overlaps the input partly.
    const apart = plain.buffer !== sealed.buffer || plain.byteOffset === sealed.byteOffset
    if (!apart) plain.set(sealed)
    return this.cipher.open(plain.subarray(0, length), apart ? sealed : plain) ? length : undefined
  }

  wipe(): void {
    this.cipher.wipe()
  }
}

/** The codec of both directions. It copies the keys and wipes the originals. */
export const codec = (
  primitives: NoisePrimitives["Service"],
  { decrypt, encrypt }: { readonly encrypt: Direction; readonly decrypt: Direction }
): Codec.Codec => {
  const room = new Uint8Array(2 * stateLength)
  const sealer = new NoiseSealer(primitives, encrypt, room)
  const frames = new NoiseFrames(primitives, decrypt, room, stateLength)
  primitives.wipe(encrypt.key)
  primitives.wipe(decrypt.key)
  return {
    sealer,
    opener: Codec.opener(frames),
    wipe: () => {
      sealer.wipe()
      frames.wipe()
    }
  }
}
