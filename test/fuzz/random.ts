/** Randomness that can be had again: the numbers of run `run` of seed `seed`, whatever was drawn before. */

/** Mixes two numbers so that neighbours have nothing in common. */
const mix = (a: number, b: number): number => {
  let h = Math.imul(a ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(b + 0x7f4a7c15, 0xc2b2ae35)
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d)
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39)
  return (h ^ (h >>> 15)) >>> 0
}

/** Bytes that stand at the edge of something: a sign, a length, a set of flags. */
const edges = [0, 1, 2, 0x0f, 0x10, 0x7e, 0x7f, 0x80, 0x81, 0x82, 0x88, 0xed, 0xfe, 0xff]

export class Random {
  private a: number
  private b: number
  private c: number
  private d = 1

  constructor(seed: number, run: number) {
    this.a = mix(seed, run)
    this.b = mix(run, seed)
    this.c = mix(this.a, this.b)
    for (let i = 0; i < 8; i++) this.next()
  }

  /** 32 bits (sfc32). */
  next(): number {
    const t = (this.a + this.b + this.d++) | 0
    this.a = this.b ^ (this.b >>> 9)
    this.b = (this.c + (this.c << 3)) | 0
    this.c = (((this.c << 21) | (this.c >>> 11)) + t) | 0
    return t >>> 0
  }

  /** 0 to `n - 1`. */
  below(n: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * n)
  }

  /** `low` to `high`, both included. */
  between(low: number, high: number): number {
    return low + this.below(high - low + 1)
  }

  /** True once in `n` times. */
  oneIn(n: number): boolean {
    return this.below(n) === 0
  }

  pick<A>(values: ReadonlyArray<A>): A {
    return values[this.below(values.length)] as A
  }

  bytes(length: number): Uint8Array {
    const out = new Uint32Array((length + 3) >>> 2)
    for (let i = 0; i < out.length; i++) out[i] = this.next()
    return new Uint8Array(out.buffer, 0, length)
  }

  /** The bytes in pieces of random lengths, some of them empty. */
  cut(bytes: Uint8Array): ReadonlyArray<Uint8Array> {
    const longest = Math.max(this.pick([1, 2, 40, 700, 5000, 100_000]), bytes.length >>> 9)
    const out: Array<Uint8Array> = []
    for (let from = 0; from < bytes.length; ) {
      const to = Math.min(bytes.length, from + this.between(this.oneIn(8) ? 0 : 1, longest))
      out.push(bytes.slice(from, to))
      from = to
    }
    return out
  }

  /** The bytes with one bit flipped. */
  flip(bytes: Uint8Array): Uint8Array {
    const out = bytes.slice()
    const at = this.below(out.length)
    out[at] = (out[at] as number) ^ (1 << this.below(8))
    return out
  }

  /** The bytes with a few changes: bits, bytes, and parts that are lost, doubled, moved or new. */
  mutate(bytes: Uint8Array): Uint8Array {
    let out: Uint8Array = bytes.slice()
    for (let left = this.pick([1, 1, 1, 2, 5]); left > 0; left--) out = this.change(out)
    return out
  }

  private change(bytes: Uint8Array): Uint8Array {
    const at = this.below(bytes.length + 1)
    const length = Math.min(bytes.length - at, this.pick([1, 2, 8, 16, 32, 64]))
    const before = bytes.subarray(0, at)
    const part = bytes.subarray(at, at + length)
    const after = bytes.subarray(at + length)
    switch (this.below(8)) {
      case 0:
        return join([before, after])
      case 1:
        return join([before, part, part, after])
      case 2:
        return join([before, this.bytes(this.between(1, 40)), part, after])
      case 3:
        return join([after, part, before])
      case 4:
        return before.slice()
      case 5:
        part.fill(this.pick(edges))
        return bytes
      case 6:
        if (length > 0) bytes[at] = this.pick(edges)
        return bytes
      default:
        if (length > 0) bytes[at] = (bytes[at] as number) ^ (1 << this.below(8))
        return bytes
    }
  }
}

export const join = (parts: ReadonlyArray<Uint8Array>): Uint8Array => new Uint8Array(Buffer.concat(parts))
