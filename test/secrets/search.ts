/** Finds secrets in what was said, in whatever form: raw, hex, base64 of either alphabet, or as lists of numbers. */
import { isAscii } from "node:buffer"

const length = 32

/** Bytes as text might be meant: a name for the form, and all that it could stand for. */
const forms: ReadonlyArray<readonly [name: string, decode: (said: Buffer) => Iterable<Buffer>]> = [
  ["raw", (said) => [said]],
  // Text without other characters is the same as its bytes.
  ["latin1", (said) => (isAscii(said) ? [] : [Buffer.from(said.toString("utf8"), "latin1")])],
  ["hex", (said) => decoded(said, /[0-9a-f]{64,}/gi, 2, (run) => Buffer.from(run, "hex"))],
  [
    "spaced hex",
    (said) =>
      decoded(said, /(?:[0-9a-f]{2} ){31,}[0-9a-f]{2}/gi, 1, (run) => Buffer.from(run.replaceAll(" ", ""), "hex"))
  ],
  // 32 bytes are 43 characters; within something longer they may begin in any of four places.
  ["base64", (said) => decoded(said, /[A-Za-z0-9+/_-]{43,}/g, 4, (run) => Buffer.from(run, "base64"))],
  [
    "numbers",
    (said) => decoded(said, /(?:\d{1,3}[\s,]+){31,}\d{1,3}/g, 1, (run) => Buffer.from(run.split(/[\s,]+/).map(Number)))
  ],
  [
    "indexed numbers",
    (said) =>
      decoded(said, /(?:"\d+": ?\d{1,3},\s*){31,}"\d+": ?\d{1,3}/g, 1, (run) =>
        Buffer.from(Array.from(run.matchAll(/: ?(\d+)/g), ([, number]) => Number(number)))
      )
  ]
]

function* decoded(said: Buffer, pattern: RegExp, shifts: number, decode: (run: string) => Buffer): Iterable<Buffer> {
  for (const [run] of said.toString("latin1").matchAll(pattern)) {
    for (let shift = 0; shift < shifts; shift++) yield decode(run.slice(shift))
  }
}

/** Anything with so few different bytes is as well a test's filler, or nothing at all. */
const isTelling = (secret: Uint8Array): boolean => new Set(secret).size >= 8

/** How many bits the filter has: with a million secrets, it lets one place of sixty-four through to the map. */
const filterBits = 1 << 26
const slotOf = (start: number): number => Math.imul(start, 0x9e3779b1) >>> 6

export class Secrets {
  private readonly byStart = new Map<number, Array<Buffer>>()
  /** Which first four bytes there are, as bits: most places of most texts end here. */
  private readonly starts = new Uint8Array(filterBits >> 3)
  size = 0

  /** Adds the records of a file of `hook.cjs`. */
  add(records: Buffer): void {
    for (let at = 0; at + length <= records.length; at += length) {
      const secret = records.subarray(at, at + length)
      if (!isTelling(secret)) continue
      const start = secret.readInt32BE(0)
      const same = this.byStart.get(start)
      if (same === undefined) this.byStart.set(start, [secret])
      else if (!same.some((other) => other.equals(secret))) same.push(secret)
      const slot = slotOf(start)
      this.starts[slot >> 3] = (this.starts[slot >> 3] as number) | (1 << (slot & 7))
      this.size++
    }
  }

  private *within(bytes: Buffer): Iterable<Buffer> {
    if (bytes.length < length) return
    const last = bytes.length - length
    let start = bytes.readInt32BE(0)
    for (let at = 0; ; ) {
      const slot = slotOf(start)
      if (((this.starts[slot >> 3] as number) & (1 << (slot & 7))) !== 0) {
        const end = at + length
        const secret = this.byStart.get(start)?.find((secret) => secret.compare(bytes, at, end) === 0)
        if (secret !== undefined) yield secret
      }
      if (++at > last) return
      start = (start << 8) | (bytes[at + 3] as number)
    }
  }

  /**
   * The forms in which any of them was said, each with which it is (its place in the order of bytes is no secret: a
   * short hash).
   */
  findIn(said: Buffer): ReadonlyArray<{ readonly form: string; readonly secret: Buffer }> {
    const hits: Array<{ form: string; secret: Buffer }> = []
    for (const [form, decode] of forms) {
      for (const bytes of decode(said)) {
        for (const secret of this.within(bytes)) hits.push({ form, secret })
      }
    }
    return hits
  }
}

/** No form of a secret is longer, with all the white space that an inspection puts into it. */
const longest = 1 << 14
const blockSize = 1 << 20

/** The blocks of a text, none of which takes long to search. What lies across a border is whole in one of them. */
export function* blocks(said: Buffer): Iterable<Buffer> {
  for (let from = 0; from === 0 || from < said.length; from += blockSize) {
    yield said.subarray(from, from + blockSize + longest)
  }
}
