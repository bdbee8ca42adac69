/**
 * The box stream that follows an shs handshake (wire.md 1.6): each direction its own key and nonce counter.
 *
 * A packet is a sealed header (34 bytes: the body's length and MAC, boxed) and the body. The goodbye is a sealed header of
 * zeros.
 */
import type { Codec, Opened, Opener, Sealer } from "../Codec.ts"
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

export class BoxSealer implements Sealer {
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

export class BoxOpener implements Opener {
  private readonly primitives: Primitives["Service"]
  private readonly key: Uint8Array
  private readonly nonce: Uint8Array
  private readonly longest: number
  private readonly header = new Uint8Array(plainHeaderLength)
  private readonly mac = this.header.subarray(2)
  /** Length of the body that is due; `undefined` while a header is. */
  private due: number | undefined
  /** The part of a header or body that has arrived, when it straddles two inputs: none is held while idle. */
  private carry: Uint8Array | undefined
  private carried = 0
  private result: Opened = "more"

  /** `longest`: the longest body that is read, 4096 to 65535. */
  constructor(primitives: Primitives["Service"], direction: Direction, longest: number = maxBody) {
    this.primitives = primitives
    this.key = direction.key
    this.nonce = direction.nonce.slice()
    this.longest = longest
  }

  open(input: Uint8Array, out: Array<Uint8Array>): Opened {
    let from = this.finishCarried(input, out)
    // Bodies are opened to one place, one after another, so that a read gives one piece of plaintext.
    const start = from
    let to = from
    while (this.result === "more") {
      const length = this.due ?? headerLength
      if (input.length - from < length) break
      const unit = input.subarray(from, from + length)
      from += length
      if (this.due === undefined) this.openHeader(unit)
      else if (this.openBody(unit, input.subarray(to, to + length))) to += length
    }
    if (to > start) out.push(input.subarray(start, to))
    if (this.result === "more" && from < input.length) this.keep(input.subarray(from))
    return this.result
  }

  /** Completes what an earlier input began. Answers how much of the input that took. */
  private finishCarried(input: Uint8Array, out: Array<Uint8Array>): number {
    const { carry } = this
    if (carry === undefined || this.result !== "more") return 0
    const taken = Math.min(carry.length - this.carried, input.length)
    carry.set(input.subarray(0, taken), this.carried)
    this.carried += taken
    if (this.carried < carry.length) return taken
    this.carry = undefined
    if (this.due === undefined) this.openHeader(carry)
    else if (this.openBody(carry, carry)) out.push(carry)
    return taken
  }

  private keep(part: Uint8Array): void {
    this.carry = new Uint8Array(this.due ?? headerLength)
    this.carry.set(part)
    this.carried = part.length
  }

  private openHeader(sealed: Uint8Array): void {
    const { header } = this
    if (!this.primitives.boxOpen(header, sealed, this.nonce, this.key)) {
      this.result = "tampered"
      return
    }
    increment(this.nonce)
    const length = ((header[0] as number) << 8) | (header[1] as number)
    if (length > this.longest) this.result = "violation"
    else if (length > 0) this.due = length
    else if (header.every((byte) => byte === 0)) this.result = "end"
    // An authentic packet without a body still has a MAC, and takes a nonce.
    else this.openBody(emptyBody, emptyBody)
  }

  private openBody(sealed: Uint8Array, plain: Uint8Array): boolean {
    this.due = undefined
    if (!this.primitives.boxOpenDetached(plain, sealed, this.mac, this.nonce, this.key)) {
      this.result = "tampered"
      return false
    }
    increment(this.nonce)
    return true
  }
}

const emptyBody = new Uint8Array(0)

/** Both directions of a box stream. */
export const codec = (
  primitives: Primitives["Service"],
  keys: { readonly encrypt: Direction; readonly decrypt: Direction },
  longest?: number
): Codec => ({
  sealer: new BoxSealer(primitives, keys.encrypt),
  opener: new BoxOpener(primitives, keys.decrypt, longest),
  wipe: () => {
    primitives.wipe(keys.encrypt.key)
    primitives.wipe(keys.decrypt.key)
  }
})
