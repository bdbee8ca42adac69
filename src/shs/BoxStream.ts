/**
 * The box stream that follows an shs handshake (wire.md 1.6): each direction its own key and nonce counter.
 *
 * A packet is a sealed header (34 bytes: the body's length and MAC, boxed) and the body. The goodbye is a sealed header of
 * zeros.
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
  private readonly headerNonce = new Uint8Array(24)
  private readonly header = new Uint8Array(plainHeaderLength)
  private readonly mac = this.header.subarray(2)

  constructor(primitives: Primitives["Service"], direction: Direction) {
    this.primitives = primitives
    this.key = direction.key
    this.nonce = direction.nonce.slice()
  }

  seal(stage: Uint8Array, offset: number, length: number): void {
    const { header, headerNonce, key, mac, nonce, primitives } = this
    headerNonce.set(nonce)
    increment(nonce)
    const body = stage.subarray(offset + headerLength, offset + headerLength + length)
    primitives.boxSealDetached(body, mac, body, nonce, key)
    increment(nonce)
    header[0] = length >>> 8
    header[1] = length & 0xff
    primitives.boxSeal(stage.subarray(offset, offset + headerLength), header, headerNonce, key)
  }

  sealEnd(stage: Uint8Array, offset: number): void {
    this.header.fill(0)
    this.primitives.boxSeal(stage.subarray(offset, offset + headerLength), this.header, this.nonce, this.key)
  }
}

/** The reading side, packet by packet. */
class BoxFrames implements Codec.Frames {
  readonly head = headerLength
  private readonly primitives: Primitives["Service"]
  private readonly key: Uint8Array
  private readonly nonce: Uint8Array
  private readonly longest: number
  private readonly header = new Uint8Array(plainHeaderLength)
  private readonly mac = this.header.subarray(2)

  constructor(primitives: Primitives["Service"], direction: Direction, longest: number) {
    this.primitives = primitives
    this.key = direction.key
    this.nonce = direction.nonce.slice()
    this.longest = longest
  }

  openHead(sealed: Uint8Array): number | Codec.Verdict {
    const { header } = this
    if (!this.primitives.boxOpen(header, sealed, this.nonce, this.key)) return "tampered"
    increment(this.nonce)
    const length = ((header[0] as number) << 8) | (header[1] as number)
    // An authentic packet without a body still has a MAC, and takes a nonce; the goodbye is all zeros.
    if (length === 0 && header.every((byte) => byte === 0)) return "end"
    return length > this.longest ? "violation" : length
  }

  openBody(sealed: Uint8Array, plain: Uint8Array): number | undefined {
    if (!this.primitives.boxOpenDetached(plain, sealed, this.mac, this.nonce, this.key)) return undefined
    increment(this.nonce)
    return sealed.length
  }
}

/** Opens a direction. `longest`: the longest body that is read, 4096 to 65535. */
export const boxOpener = (
  primitives: Primitives["Service"],
  direction: Direction,
  longest: number = maxBody
): Codec.Opener => Codec.opener(new BoxFrames(primitives, direction, longest))

/** Both directions of a box stream. */
export const codec = (
  primitives: Primitives["Service"],
  keys: { readonly encrypt: Direction; readonly decrypt: Direction },
  longest?: number
): Codec.Codec => ({
  sealer: new BoxSealer(primitives, keys.encrypt),
  opener: boxOpener(primitives, keys.decrypt, longest),
  wipe: () => {
    primitives.wipe(keys.encrypt.key)
    primitives.wipe(keys.decrypt.key)
  }
})
