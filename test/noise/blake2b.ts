/**
 * Keyed BLAKE2b by RFC 7693, plainly: node:crypto has it without a key only, and the sodium packages are the library
 * that our code stands on. For what has to be computed without it.
 */

const blockLength = 128
const mask = (1n << 64n) - 1n
const iv = [
  0x6a09e667f3bcc908n,
  0xbb67ae8584caa73bn,
  0x3c6ef372fe94f82bn,
  0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n,
  0x9b05688c2b3e6c1fn,
  0x1f83d9abfb41bd6bn,
  0x5be0cd19137e2179n
]
/** Which word goes where in each round, in hexadecimal digits. */
const sigma = [
  "0123456789abcdef",
  "ea489fd61c02b753",
  "b8c052fdae367194",
  "7931dcbe265a40f8",
  "905724afe1bc683d",
  "2c6a0b834d75fe19",
  "c51fed4a0763928b",
  "db7ec13950f4862a",
  "6fe9b308c2d714a5",
  "a2847615fb9e3cd0"
]
/** The columns, then the diagonals. */
const lanes = ["048c", "159d", "26ae", "37bf", "05af", "16bc", "278d", "349e"]

const digits = (text: string): ReadonlyArray<number> => [...text].map((digit) => Number.parseInt(digit, 16))

/** The state after one block. `count`: how many bytes were hashed, this block's included. */
const compress = (state: ReadonlyArray<bigint>, block: Buffer, count: number, last: boolean): ReadonlyArray<bigint> => {
  const v = [...state, ...iv]
  const at = (i: number): bigint => v[i] as bigint
  const word = (i: number): bigint => block.readBigUInt64LE(8 * i)
  const add = (a: number, ...values: ReadonlyArray<bigint>): void => {
    v[a] = values.reduce((sum, value) => sum + value, at(a)) & mask
  }
  const rotate = (a: number, b: number, bits: bigint): void => {
    const x = at(a) ^ at(b)
    v[a] = ((x >> bits) | (x << (64n - bits))) & mask
  }
  v[12] = at(12) ^ BigInt(count)
  if (last) v[14] = at(14) ^ mask
  for (let round = 0; round < 12; round++) {
    const order = digits(sigma[round % 10] as string)
    for (const [i, lane] of lanes.entries()) {
      const [a, b, c, d] = digits(lane) as [number, number, number, number]
      add(a, at(b), word(order[2 * i] as number))
      rotate(d, a, 32n)
      add(c, at(d))
      rotate(b, c, 24n)
      add(a, at(b), word(order[2 * i + 1] as number))
      rotate(d, a, 16n)
      add(c, at(d))
      rotate(b, c, 63n)
    }
  }
  return state.map((x, i) => x ^ at(i) ^ at(i + 8))
}

/** `length` bytes, at most 64, of a message under a key, which may be empty. */
export const blake2b = (length: number, message: Uint8Array, key: Uint8Array = new Uint8Array(0)): Buffer => {
  const data = Buffer.concat([key, Buffer.alloc(key.length === 0 ? 0 : blockLength - key.length), message])
  const blocks = Math.max(1, Math.ceil(data.length / blockLength))
  let state: ReadonlyArray<bigint> = iv.map((x, i) =>
    i === 0 ? x ^ BigInt(0x01010000 ^ (key.length << 8) ^ length) : x
  )
  for (let i = 0; i < blocks; i++) {
    const block = Buffer.alloc(blockLength)
    data.copy(block, 0, i * blockLength)
    const last = i === blocks - 1
    state = compress(state, block, last ? data.length : (i + 1) * blockLength, last)
  }
  const out = Buffer.alloc(64)
  for (const [i, x] of state.entries()) out.writeBigUInt64LE(x, 8 * i)
  return out.subarray(0, length)
}
